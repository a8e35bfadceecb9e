"""What the commands say where the environment is not that of the training: one sentence, and a way out."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import RescaleAction
from sb3_contrib import MaskablePPO

from tests.rollouts.spaces_env import SMALL, VECTOR, SpacesEnv, ported, register

from .conftest import Cli


def rescaled(**_: Any) -> Any:
    return RescaleAction(PendulumEnv(), np.float32(-1), np.float32(1))


gymnasium.register("others/Rescaled-v0", rescaled, max_episode_steps=10, disable_env_checker=True)
gymnasium.register("others/Endless-v0", PendulumEnv, disable_env_checker=True)
SIX = spaces.Discrete(6)
MASKED, BARE = (
    register(f"cli-{masks}", limit=5, observations=VECTOR, actions=SIX, masks=masks, length=4)
    for masks in ("info", None)
)
COMMANDS = {
    "eval": ("--episodes", 1),
    "record": ("--episodes", 1, "--out", "a.npz"),
    "finetune": ("--steps", 8, "--n-steps", 8, "--batch-size", 4, "--n-envs", 1, "--out", "run"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_bounds_of_actions(command: str, cli: Cli, port: Path, here: Path) -> None:
    before = sorted(path.name for path in here.iterdir())
    result = cli(command, port, "--env", "others/Rescaled-v0", *COMMANDS[command])
    result.fails(2, "others/Rescaled-v0 has the actions Box(-1, 1, (1,), float32), but the policy was")
    assert sorted(path.name for path in here.iterdir()) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_masks(command: str, cli: Cli, here: Path) -> None:
    env = SpacesEnv(VECTOR, SIX, masks="method")
    model = MaskablePPO("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, **SMALL)
    masked = ported(model, here / "model")
    cli(command, masked, "--env", MASKED, *COMMANDS[command], "--json").succeeds()
    places = {"record": ("--force",), "finetune": ("--out", "other")}.get(command, ())
    again = (command, masked, *COMMANDS[command], *places, "--env", BARE)
    result = cli(*again)
    result.fails(2, "the environment does not say which actions are allowed")
    assert "--no-masking" in result.err
    cli(*again, "--no-masking").succeeds()


def test_episodes_without_an_end(cli: Cli, port: Path) -> None:
    endless = ("eval", port, "--env", "others/Endless-v0", "--episodes", 1, "--json")
    result = cli(*endless)
    assert json.loads(result.out)["mean_length"] == 1000
    assert "others/Endless-v0 has no time limit, so that its episodes were cut after 1000 steps" in result.err
    shorter = cli(*endless, "--max-episode-steps", 7)
    assert json.loads(shorter.out)["mean_length"] == 7
    assert "no time limit" not in shorter.err
    trained = cli("finetune", port, "--env", "others/Endless-v0", *COMMANDS["finetune"], "--eval-episodes", 1)
    trained.succeeds()
    assert "episodes of evaluations are cut after 1000 steps" in trained.err
