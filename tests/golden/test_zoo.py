"""Real models of the SB3 zoo against SB3's own classes, and against outputs recorded in their own time.

SB3 1.0 to 2.4 wrote them, and most of them cannot be loaded by today's `PPO.load`.
"""

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.spaces import Box
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve
from tests.ports import assert_same_bits, port_of, port_outputs, sb3_outputs

pytestmark = pytest.mark.zoo

MODELS = (
    "a2c-CartPole-v1",
    "a2c-Hopper-v3",
    "a2c-LunarLanderContinuous-v2",
    "a2c-MountainCar-v0",
    "a2c-Pendulum-v1",
    "ppo-Acrobot-v1",
    "ppo-AntBulletEnv-v0",
    "ppo-BipedalWalker-v3",
    "ppo-CartPole-v1",
    "ppo-HalfCheetah-v3",
    "ppo-Hopper-v3",
    "ppo-LunarLander-v2",
    "ppo-MountainCarContinuous-v0",
    "ppo-Pendulum-v1",
    "ppo-Swimmer-v3",
    "trpo-CartPole-v1",
    "trpo-LunarLander-v2",
    "trpo-Pendulum-v1",
    "trpo-Swimmer-v3",
)
RECORDED_TOLERANCE = 1e-5  # of the output's scale: other builds of torch differ in the last bits


def test_every_model_of_the_folder_is_listed(zoo: Path) -> None:
    assert sorted(path.name for path in zoo.iterdir() if path.is_dir()) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_port_computes_what_sb3_computes(name: str, zoo: Path, tmp_path: Path) -> None:
    recorded = np.load(zoo / name / "reference.npz")
    port_of(zoo / name, tmp_path / name, verify=False)
    observations, actions = recorded["observation"], recorded["sampled_action"]
    actual = port_outputs(tmp_path / name, observations, actions)

    checkpoint = read_checkpoint(resolve(str(zoo / name), SourceOptions()))
    policy = _sb3_policy(checkpoint, zoo / name / f"{name}.zip")
    model = SimpleNamespace(policy=policy, predict=policy.predict)
    expected = sb3_outputs(model, None, recorded["normalized_observation"], actions)
    assert_same_bits(actual, expected)

    for output in ("normalized_observation", "mode", "action", "value", "log_prob", "entropy"):
        reference = recorded[output]
        candidate = actual[output].numpy()
        if np.issubdtype(reference.dtype, np.integer):
            assert np.array_equal(candidate, reference), output
        else:
            assert np.abs(candidate - reference).max() <= RECORDED_TOLERANCE * np.abs(reference).max(), output


@pytest.mark.parametrize("name", MODELS)
def test_verification_says_bit_exact(name: str, zoo: Path, tmp_path: Path) -> None:
    report = port_of(zoo / name, tmp_path / name).report
    assert report is not None
    assert report.verdict == "bit-exact"
    here = [check for check in report.checks if check.against == "oracle" and check.stage != "reload"]
    assert {check.verdict for check in here} == {"bit-exact"}
    assert {check.observations for check in here} - {None} == {"recorded", "edge"}
    then = [check for check in report.checks if check.against == "reference"]
    assert {check.verdict for check in then} <= {"bit-exact", "within noise"}
    assert len(then) == 6


def _sb3_policy(checkpoint: Checkpoint, path: Path) -> ActorCriticPolicy:
    """Build SB3's class, with weights that torch itself reads from the zip."""
    spec = checkpoint.spec
    action = spec.action_space
    space = spaces.Box(action.low, action.high) if isinstance(action, Box) else spaces.Discrete(action.n)
    policy = ActorCriticPolicy(
        spaces.Box(-np.inf, np.inf, spec.observation_space.shape, np.float32),
        space,
        lambda _: 0.0,
        net_arch={"pi": list(spec.net_arch.pi), "vf": list(spec.net_arch.vf)},
        activation_fn=getattr(nn, spec.activation_fn),
        use_sde=spec.use_sde,
    )
    with zipfile.ZipFile(path) as archive:
        weights = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True, map_location="cpu")
    policy.load_state_dict(weights, strict=True)
    policy.set_training_mode(False)
    return policy
