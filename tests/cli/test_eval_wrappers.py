"""`eval` behind the wrappers of the training: SB3's own rollout with SB3's own wrappers earns the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib.common.wrappers import TimeFeatureWrapper
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecNormalize

from sb3port.commands.evaluate import evaluate_port
from sb3port.environments.choosing import choose_environment
from sb3port.environments.rollouts import Setting
from sb3port.environments.wrapping import wrapping_in
from sb3port.files.port_files import PORT_FILE
from sb3port.ports.reading import read_port
from tests.ports import port_of

from .conftest import Cli

EPISODES = 3
TIME = "sb3_contrib.common.wrappers.TimeFeatureWrapper"


class Blinking(gym.Env[Any, Any]):
    """Small images of which the pixels' sum earns a reward, for a number of steps that an argument says."""

    observation_space = spaces.Box(0, 255, (36, 38, 1), np.uint8)
    action_space = spaces.Discrete(3)

    def __init__(self, length: int = 4) -> None:
        self.length, self.steps = length, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.steps = 0
        return self._image(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        image = self._image()
        return image, float(image.mean()) * int(action), self.steps >= self.length, False, {}

    def _image(self) -> Any:
        return self.np_random.integers(0, 256, self.observation_space.shape, np.uint8)


gym.register("Blinking-v0", Blinking)


def saved(folder: Path, env: VecEnv, config: str, env_id: str, policy: str = "MlpPolicy") -> PPO:
    """Save an untrained model as rl_zoo3 does, with the statistics of VecNormalize where there are any."""
    torch.manual_seed(1)
    model = PPO(policy, env, device="cpu", policy_kwargs={"net_arch": [8]}, seed=1)
    folder.mkdir()
    model.save(folder / "model.zip")
    normalizer = model.get_vec_normalize_env()
    if normalizer is not None:
        normalizer.save(str(folder / "vec_normalize.pkl"))
    (folder / "args.yml").write_text(f"env: {env_id}")
    (folder / "config.yml").write_text(config)
    return model


def sb3_returns(model: PPO, make: Callable[[], VecEnv]) -> list[float]:
    """Returns of SB3's own rollout, one episode per seed."""
    returns = []
    for seed in range(EPISODES):
        env = make()
        env.seed(seed)
        observation, total, done = env.reset(), 0.0, False
        while not done:
            action, _ = model.predict(observation, deterministic=True)
            observation, rewards, dones, _ = env.step(action)
            total, done = total + rewards[0], bool(dones[0])
        returns.append(total)
    return returns


def port_returns(port: Path, env_id: str) -> list[float]:
    wrapping = wrapping_in(choose_environment(read_port(port).environment, env_id))
    return list(evaluate_port(port, Setting(env_id, range(EPISODES), wrapping)).returns)


def test_time_feature_and_normalization(tmp_path: Path) -> None:
    def make(training: bool = False) -> VecNormalize:
        env = VecNormalize(
            DummyVecEnv([lambda: TimeFeatureWrapper(gym.make("Pendulum-v1"))]), training=training
        )
        env.norm_reward = False
        return env

    env = make(training=True)
    env.reset()
    for _ in range(50):
        env.step(np.ones((1, 1)))
    model = saved(tmp_path / "model", env, f"env_wrapper: {TIME}\nnormalize: true", "Pendulum-v1")

    def normalized() -> VecEnv:
        frozen = make()
        frozen.obs_rms = env.obs_rms
        return frozen

    port_of(tmp_path / "model", tmp_path / "port", verify=False)
    expected = sb3_returns(model, normalized)
    np.testing.assert_allclose(port_returns(tmp_path / "port", "Pendulum-v1"), expected, rtol=1e-6)
    assert len(set(expected)) == EPISODES


def test_stacked_vectors(tmp_path: Path) -> None:
    def make() -> VecEnv:
        return VecFrameStack(DummyVecEnv([lambda: gym.make("CartPole-v1")]), 3)

    model = saved(tmp_path / "model", make(), "frame_stack: 3", "CartPole-v1")
    port_of(tmp_path / "model", tmp_path / "port", verify=False)
    assert port_returns(tmp_path / "port", "CartPole-v1") == sb3_returns(model, make)


@pytest.mark.parametrize("key", ["frame_stack: 2", "vec_env_wrapper: {NAME: {n_stack: 2}}"])
def test_stacked_images_of_an_environment_with_arguments(tmp_path: Path, key: str) -> None:
    def make() -> VecEnv:
        return VecFrameStack(DummyVecEnv([lambda: gym.make("Blinking-v0", length=6)]), 2)

    config = key.replace("NAME", "stable_baselines3.common.vec_env.VecFrameStack")
    model = saved(tmp_path / "m", make(), config + "\nenv_kwargs: {length: 6}", "Blinking-v0", "CnnPolicy")
    port_of(tmp_path / "m", tmp_path / "port", verify=False)
    expected = sb3_returns(model, make)
    np.testing.assert_allclose(port_returns(tmp_path / "port", "Blinking-v0"), expected, rtol=1e-6)
    assert all(expected)


@pytest.fixture
def timed(cli: Cli, here: Path) -> Path:
    """A port of a policy that was trained behind two wrappers, one of which we do not have."""
    env = DummyVecEnv([lambda: TimeFeatureWrapper(gym.make("Pendulum-v1"))])
    saved(here / "model", env, f"env_wrapper: [a.Strange, {TIME}]", "Pendulum-v1")
    result = cli("convert", "model", "port", "--no-verify")
    result.succeeds()
    assert "environment   Pendulum-v1, behind Strange, TimeFeatureWrapper\n" in result.out
    assert "warning: trained behind a.Strange, which is not applied: returns will differ\n" in result.err
    return here / "port"


def test_eval_takes_the_environment_of_the_training(cli: Cli, timed: Path) -> None:
    result = cli("eval", timed, "--episodes", 1)
    result.succeeds()
    assert "environment  Pendulum-v1\n" in result.out
    assert "wrappers     TimeFeature\n" in result.out
    assert result.err == "warning: trained behind a.Strange, which is not applied: returns will differ\n"
    content = json.loads(cli("eval", timed, "--episodes", 1, "--json").out)
    assert content["wrappers"] == ["TimeFeature"]


def test_record_sees_the_same_environment(cli: Cli, timed: Path) -> None:
    result = cli("record", timed, "--episodes", 1, "--out", "timed.npz")
    result.succeeds()
    assert "wrappers     TimeFeature\n" in result.out
    with np.load("timed.npz") as recorded:
        assert recorded["observation"].shape == (200, 4)
        assert recorded["observation"][[0, -1], 3].tolist() == np.float32([1, 1 - 199 / 200]).tolist()
    alone = cli("record", timed, "--out", "plain.npz", "--no-wrappers")
    alone.fails(2, "Pendulum-v1 has the observations")


def test_inspect_shows_the_environment(cli: Cli, timed: Path) -> None:
    shown = cli("inspect", timed)
    shown.succeeds()
    assert f"wrappers  a.Strange\n            {TIME}  (port)\n" in shown.out
    assert "told by   args.yml, config.yml\n" in shown.out
    assert "a.Strange, which is not applied" in shown.err


MINE = """
import gymnasium, numpy

class Mine(gymnasium.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        high = numpy.float32([1, 1, 8, 1])
        self.observation_space = gymnasium.spaces.Box(-high * [1, 1, 1, 0], high, dtype=numpy.float32)

    def observation(self, observation):
        return numpy.append(observation, numpy.float32(1))

def broken(env):
    raise KeyError("mine")
"""


def test_wrappers_of_the_user(cli: Cli, here: Path, timed: Path) -> None:
    (here / "mine.py").write_text(MINE)
    result = cli("eval", timed, "--episodes", 1, "--wrapper", "mine:Mine")
    result.succeeds()
    assert "wrappers     mine:Mine\n" in result.out
    assert result.err == ""
    cli("eval", timed, "--wrapper", "mine:broken").fails(2, "mine:broken does not work: KeyError('mine')")
    cli("eval", timed, "--wrapper", "mine:Absent").fails(2, "--wrapper mine:Absent does not work")
    cli("eval", timed, "--wrapper", "absent:Mine").fails(2, "No module named 'absent'")
    cli("eval", timed, "--wrapper", "Mine").fails(2, "there is no wrapper Mine", "my_module:MyWrapper")


def test_no_wrappers(cli: Cli, timed: Path) -> None:
    cli("eval", timed, "--no-wrappers").fails(2, "Pendulum-v1 has the observations", "--wrapper")


def test_arguments_that_the_environment_does_not_take(cli: Cli, timed: Path) -> None:
    note(timed, env_kwargs={"power": 3})
    cli("eval", timed).fails(2, "Pendulum-v1 cannot be made with {'power': 3}: ", "--no-wrappers")


def test_wrappers_that_do_not_fit(cli: Cli, timed: Path) -> None:
    note(timed, wrappers=[{"name": TIME, "kwargs": {"power": 3}}])
    cli("eval", timed).fails(2, "cannot be wrapped: The wrapper TimeFeature", "--no-wrappers")


@pytest.mark.parametrize("env_id", [None, "owned:Pendulum-v1"])
def test_the_environment_must_be_named(cli: Cli, here: Path, timed: Path, env_id: str | None) -> None:
    (here / "owned.py").write_text("open('imported', 'w')")
    note(timed, env_id=env_id)
    told = "must be named with --env ID" if env_id is None else f"sb3port eval {timed} --env {env_id}"
    cli("eval", timed).fails(2, "must be named", told)
    assert not (here / "imported").exists()


def test_hostile_configuration_ends_with_code_5(cli: Cli, here: Path, timed: Path) -> None:
    (here / "model" / "config.yml").write_text("normalize: __import__('os').system('touch owned')")
    cli("convert", "model", "other").fails(5, "config.yml: normalize holds the code", "nothing of it was run")
    assert not (here / "owned").exists()
    assert not (here / "other").exists()


def note(port: Path, **fields: Any) -> None:
    """Change what a port notes of its environment."""
    content = json.loads((port / PORT_FILE).read_text())
    content["environment"] |= fields
    (port / PORT_FILE).write_text(json.dumps(content))
