"""The real `lerobot-eval` on ports: its returns are those of SB3's own `predict` on the same seeds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from sb3_contrib import ARS
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.commands.evaluate import evaluate_port
from sb3port.commands.policies import find_policy
from sb3port.commands.train import begin_finetuning
from sb3port.commands.training_arguments import RunOptions
from sb3port.environments.rollouts import Setting
from sb3port.ppo.runs.running import Watcher, train
from tests.conformance.building import save_shaken
from tests.ports import port_of

pytestmark = pytest.mark.long

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"
EPISODES, SEED = 4, 1000


@pytest.fixture(scope="module")
def lander(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy for LunarLander-v3 that has learned nothing, but chooses."""
    source = tmp_path_factory.mktemp("hub") / "ppo-LunarLander-v3"
    model = PPO("MlpPolicy", "LunarLander-v3", seed=0, device="cpu", policy_kwargs={"ortho_init": False})
    save_shaken(model, None, source)
    next(source.glob("*.zip")).rename(source / f"{source.name}.zip")
    return source


@pytest.mark.parametrize("batch_size", [1, pytest.param(4, marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    "env_id",
    [
        pytest.param("Pendulum-v1", marks=pytest.mark.thorough),
        "CartPole-v1",
        pytest.param("LunarLander-v3", marks=pytest.mark.thorough),
    ],
)
def test_returns_are_those_of_sb3(env_id: str, batch_size: int, lander: Path, tmp_path: Path) -> None:
    source = lander if env_id in lander.name else FIXTURES / f"ppo-{env_id}"
    port_of(source, tmp_path / "port", verify=False)
    returns = lerobot_eval(tmp_path / "port", env_id, batch_size, tmp_path / "out")
    expected = sb3_returns(source, env_id, batch_size)
    assert returns == pytest.approx(expected, rel=1e-12)  # LeRobot adds rewards up in another order
    assert len(set(np.round(expected, 6))) > 1 or env_id == "CartPole-v1"


@pytest.mark.parametrize(
    ("algorithm", "env_id"),
    [
        (SAC, "Pendulum-v1"),
        pytest.param(DQN, "CartPole-v1", marks=pytest.mark.thorough),
        pytest.param(ARS, "Pendulum-v1", marks=pytest.mark.thorough),
    ],
    ids=["sac", "dqn", "ars"],
)
def test_returns_of_other_types_are_those_of_sb3(algorithm: Any, env_id: str, tmp_path: Path) -> None:
    """Policies of a type of their own, whose actions are unscaled, chosen or clipped."""
    source = tmp_path / "model"
    buffer = {} if algorithm is ARS else {"buffer_size": 10, "policy_kwargs": {"net_arch": [16]}}
    save_shaken(algorithm("MlpPolicy", env_id, seed=0, device="cpu", **buffer), None, source)
    port_of(source, tmp_path / "port", verify=False)
    returns = lerobot_eval(tmp_path / "port", env_id, 1, tmp_path / "out")
    expected = sb3_returns(source, env_id, 1, algorithm)
    assert returns == pytest.approx(expected, rel=1e-12)


@pytest.mark.thorough
def test_what_was_fine_tuned_earns_the_same(tmp_path: Path) -> None:
    port = port_of(FIXTURES / "ppo-Pendulum-v1-half", tmp_path / "port", verify=False).port
    options = RunOptions(steps=8192, save_every=8192, run={"eval_episodes": 0})
    trainer, checkpoint = begin_finetuning(find_policy(port), options, lambda _: None)
    port = train(trainer, checkpoint, tmp_path / "run", Watcher()).last / "pretrained_model"
    expected = evaluate_port(port, Setting("Pendulum-v1", range(SEED, SEED + EPISODES)))
    returns = lerobot_eval(port, "Pendulum-v1", 1, tmp_path / "out")
    assert returns == pytest.approx(list(expected.returns), rel=1e-12)


def lerobot_eval(port: Path, env_id: str, batch_size: int, out: Path) -> list[float]:
    """Run the command as a user does; the plugin is found by its distribution name."""
    command = [
        str(Path(sys.executable).with_name("lerobot-eval")),
        f"--policy.path={port}",
        "--env.type=gymnasium",
        f"--env.task={env_id}",
        f"--eval.n_episodes={EPISODES}",
        f"--eval.batch_size={batch_size}",
        "--eval.use_async_envs=false",
        f"--seed={SEED}",
        f"--output_dir={out}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = json.loads((out / "eval_info.json").read_text())["per_task"][0]["metrics"]
    assert not any(metrics["successes"])  # no environment says so, so LeRobot must not either
    return list(metrics["sum_rewards"])


def sb3_returns(source: Path, env_id: str, batch_size: int, algorithm: Any = PPO) -> list[float]:
    """Roll SB3's `predict` out in batches of the same size, one episode per seed.

    An episode that is over stays in the batch with its last observation, as LeRobot keeps it.
    """
    model = algorithm.load(source / f"{source.name}.zip", device="cpu")
    statistics, normalizer = source / "vec_normalize.pkl", None
    if statistics.exists():
        normalizer = VecNormalize.load(str(statistics), DummyVecEnv([lambda: gymnasium.make(env_id)]))
    returns: list[float] = []
    for start in range(SEED, SEED + EPISODES, batch_size):
        returns += batch_returns(model, normalizer, env_id, list(range(start, start + batch_size)))
    return returns


def batch_returns(model: Any, normalizer: VecNormalize | None, env_id: str, seeds: list[int]) -> list[float]:
    envs: list[gymnasium.Env[Any, Any]] = [gymnasium.make(env_id) for _ in seeds]
    observations = np.stack([env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)])
    totals, over = [0.0] * len(seeds), [False] * len(seeds)
    while not all(over):
        normalized = normalizer.normalize_obs(observations) if normalizer else observations
        actions, _ = model.predict(normalized, deterministic=True)
        for index, env in enumerate(envs):
            if not over[index]:
                observations[index], reward, terminated, truncated, _ = env.step(actions[index])
                totals[index] += float(reward)
                over[index] = terminated or truncated
    return totals
