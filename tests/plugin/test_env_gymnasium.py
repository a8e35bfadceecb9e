"""`--env.type=gymnasium`: LeRobot's own rollout gives the returns that SB3's `predict` earns."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.factory import make_env
from lerobot.envs.utils import env_to_policy_features, preprocess_observation
from lerobot.scripts import lerobot_eval
from lerobot_policy_ppo.env_gymnasium import LeRobotGymnasium
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

from lerobot_policy_ppo import GymnasiumEnvConfig, VecNormalizeProcessorStep, make_ppo_pre_post_processors

from . import environments  # noqa: F401 (registers them)
from .oracles import make_pair
from .test_processors import STATE, make_step, make_vec_normalize

NEW_ROLLOUT = {"lerobot_new_rollout": True}


def evaluate(
    config: GymnasiumEnvConfig,
    port: PPOPolicy,
    batch_size: int,
    n_episodes: int,
    step: VecNormalizeProcessorStep | None = None,
    **kwargs: Any,
) -> list[dict[str, Any]]:
    """Episodes as lerobot-eval plays them."""
    vec = make_env(config, n_envs=batch_size)["gymnasium"][0]
    env_pre, env_post = config.get_env_processors()
    pre, post = make_ppo_pre_post_processors(port.config, vec_normalize=step)
    info = lerobot_eval.eval_policy(
        vec, port, env_pre, env_post, pre, post, n_episodes=n_episodes, start_seed=100, **kwargs
    )
    vec.close()
    return info["per_episode"]


def roll_out_sb3(
    task: str,
    oracle: ActorCriticPolicy,
    batch_size: int,
    n_episodes: int,
    normalizer: VecNormalize | None = None,
) -> list[float]:
    """Returns of SB3's `predict` on plain environments, a batch in one forward pass until the last ends."""
    returns: list[float] = []
    for start in range(0, n_episodes, batch_size):
        envs = [gym.make(task) for _ in range(batch_size)]
        obs = np.stack([env.reset(seed=100 + start + i)[0] for i, env in enumerate(envs)])
        totals, done = np.zeros(batch_size), np.zeros(batch_size, bool)
        while not done.all():
            seen = obs.astype(np.float32)  # LeRobot rounds all observations
            actions, _ = oracle.predict(
                normalizer.normalize_obs(seen) if normalizer else seen, deterministic=True
            )
            for i in np.flatnonzero(~done):
                obs[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
                totals[i] += reward
                done[i] = terminated or truncated
        returns += totals.tolist()
    return returns


def pair_for(task: str, **kwargs: Any) -> tuple[ActorCriticPolicy, PPOPolicy]:
    env = gym.make(task)
    return make_pair(env.observation_space, env.action_space, seed=2, **kwargs)


@pytest.mark.parametrize(
    ("task", "shape", "kwargs"),
    [
        ("CartPole-v1", None, {}),
        ("CartPole-v1", (4,), {}),
        ("Pendulum-v1", None, {}),
        ("Pendulum-v1", (3,), {"use_sde": True, "squash_output": True}),
        ("plugin_tests/Float64-v0", (2, 2), {}),
    ],
)
def test_returns_are_those_of_sb3(task: str, shape: tuple[int, ...] | None, kwargs: dict[str, Any]) -> None:
    oracle, port = pair_for(task, **kwargs)
    normalizer = make_vec_normalize(shape) if shape else None
    step = make_step(normalizer) if normalizer else None
    config = GymnasiumEnvConfig(task=task)
    by_batch_size = []
    for batch_size in (1, 3):
        episodes = evaluate(config, port, batch_size, 6, step)
        assert [episode["seed"] for episode in episodes] == list(range(100, 106))
        got = [episode["sum_reward"] for episode in episodes]
        expected = roll_out_sb3(task, oracle, batch_size, 6, normalizer)
        # The same rewards, summed by torch in another order.
        assert got == pytest.approx(expected, rel=1e-12)
        by_batch_size.append(got)
    # Batches of another size are computed in another order: equal within float32's noise.
    assert by_batch_size[0] == pytest.approx(by_batch_size[1], rel=1e-4)
    assert len(set(by_batch_size[0])) > 1, "episodes must differ"


def test_episodes_of_unequal_length_are_exact() -> None:
    """On CartPole a return is a number of steps: one too many in a batch would show."""
    oracle, port = pair_for("CartPole-v1")
    got = evaluate(GymnasiumEnvConfig(task="CartPole-v1"), port, 3, 6)
    assert [episode["sum_reward"] for episode in got] == roll_out_sb3("CartPole-v1", oracle, 3, 6)


def test_float64_observations_come_as_float32() -> None:
    config = GymnasiumEnvConfig(task="plugin_tests/Float64-v0")
    obs, _ = make_env(config, n_envs=2)["gymnasium"][0].reset(seed=[3, 4], options=NEW_ROLLOUT)
    raw = np.stack([gym.make("plugin_tests/Float64-v0").reset(seed=seed)[0] for seed in (3, 4)])
    batch = config.get_env_processors()[0](preprocess_observation(obs))
    assert batch[STATE].dtype == torch.float32
    assert np.array_equal(batch[STATE].numpy(), raw.astype(np.float32).reshape(2, -1))


@pytest.mark.parametrize(("threshold", "expected"), [(None, False), (1.0, True), (501.0, False)])
def test_success_needs_a_threshold(threshold: float | None, expected: bool) -> None:
    config = GymnasiumEnvConfig(task="CartPole-v1", success_threshold=threshold)
    _, port = pair_for("CartPole-v1")
    for batch_size in (1, 3):
        assert [e["success"] for e in evaluate(config, port, batch_size, 3)] == [expected] * 3


def test_success_of_the_environment_counts() -> None:
    _, port = pair_for("plugin_tests/Float64-v0")
    config = GymnasiumEnvConfig(task="plugin_tests/Float64-v0", env_kwargs={"length": 4})
    episodes = evaluate(config, port, 2, 2)
    assert all(episode["success"] for episode in episodes)


def test_environment_stays_at_its_end_until_a_new_rollout() -> None:
    env = LeRobotGymnasium("plugin_tests/Float64-v0", env_kwargs={"length": 2})
    env.reset(seed=0, options=NEW_ROLLOUT)
    action = np.zeros(2)
    env.step(action)
    last, reward, terminated, _, info = env.step(action)
    assert terminated
    assert reward != 0.0
    assert info == {"is_success": True}
    again, _ = env.reset()
    assert again is last
    assert env.step(action)[1:] == (0.0, True, False, info)
    first, info = env.reset(options=NEW_ROLLOUT)
    assert not np.array_equal(first["agent_pos"], last["agent_pos"])
    assert info == {"is_success": False}
    env.step(action)
    env.step(action)
    assert env.reset(seed=1)[0] is not env.reset(seed=1)[0]


def test_features_frame_rate_and_time_limit(caplog: pytest.LogCaptureFixture) -> None:
    config = GymnasiumEnvConfig(task="Pendulum-v1")
    assert (config.fps, config.features["agent_pos"].shape) == (30, (3,))
    assert env_to_policy_features(config) == {
        "action": PolicyFeature(FeatureType.ACTION, (1,)),
        STATE: PolicyFeature(FeatureType.STATE, (3,)),
    }
    assert not caplog.records
    assert make_env(config)["gymnasium"][0].call("_max_episode_steps") == (200,)
    short = GymnasiumEnvConfig(task="Pendulum-v1", episode_length=5)
    assert make_env(short)["gymnasium"][0].call("_max_episode_steps") == (5,)
    with caplog.at_level(logging.WARNING):
        config = GymnasiumEnvConfig(task="plugin_tests/Float64-v0")
    assert "no time limit" in caplog.text
    assert (config.fps, config.features["action"].shape, config.features["agent_pos"].shape) == (
        17,
        (2,),
        (4,),
    )
    assert make_env(config)["gymnasium"][0].call("_max_episode_steps") == (1000,)


def test_environment_without_rendering_or_float_observations(tmp_path: Path) -> None:
    """It takes no `render_mode`, knows no frame rate and never ends; LeRobot films it all the same."""
    _, port = pair_for("plugin_tests/Bare-v0")
    config = GymnasiumEnvConfig(task="plugin_tests/Bare-v0", episode_length=4)
    videos = {"max_episodes_rendered": 2, "videos_dir": tmp_path}
    episodes = evaluate(config, port, 2, 2, **videos)
    assert [episode["sum_reward"] for episode in episodes] == [4.0, 4.0]
    assert len(list(tmp_path.glob("*.mp4"))) == 2
    obs, _ = make_env(config)["gymnasium"][0].reset(options=NEW_ROLLOUT)
    seen = config.get_env_processors()[0](preprocess_observation(obs))[STATE]
    assert seen.tolist() == [[float(2**31)] * 3]


def test_frames_are_black_when_there_are_none() -> None:
    env = LeRobotGymnasium("plugin_tests/Float64-v0", render_mode="rgb_array")
    env.reset(seed=0)
    frame: NDArray[Any] = env.render()
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert not frame.any()


def test_module_ids() -> None:
    """Gymnasium imports the module before the colon, and so does this."""
    config = GymnasiumEnvConfig(task="gymnasium.envs.classic_control:MountainCar-v0")
    assert config.features["agent_pos"].shape == (2,)


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (spaces.Text(4), spaces.Discrete(2), "observation space Text"),
        (spaces.Dict({"a": spaces.Dict({})}), spaces.Discrete(2), "observation space Dict"),
        (spaces.Box(0, 255, (8, 8, 8), np.uint8), spaces.Discrete(2), "8 channels"),
        (spaces.Box(0, 1, (2,)), spaces.Tuple([]), "action space Tuple"),
    ],
)
def test_unsupported_spaces_raise(observation: spaces.Space, action: spaces.Space, message: str) -> None:
    class Unsupported(gym.Env):
        observation_space, action_space = observation, action

    task = "plugin_tests/Unsupported-v0"
    gym.register(task, Unsupported, disable_env_checker=True)
    try:
        with pytest.raises(ValueError, match=message):
            GymnasiumEnvConfig(task=task)
    finally:
        del gym.registry[task]


@pytest.mark.long
def test_lerobot_eval_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that the README shows, with LeRobot's own parser, factories and files."""
    oracle, port = pair_for("Pendulum-v1", use_sde=True)
    normalizer = make_vec_normalize((3,))
    pre, post = make_ppo_pre_post_processors(port.config, vec_normalize=make_step(normalizer))
    for part in (port, pre, post):
        part.save_pretrained(tmp_path / "port")
    command = (
        f"lerobot-eval --policy.path={tmp_path / 'port'} --env.type=gymnasium --env.task=Pendulum-v1 "
        f"--eval.n_episodes=4 --eval.batch_size=2 --eval.use_async_envs=false "
        f"--output_dir={tmp_path / 'out'} --seed=100"
    )
    monkeypatch.setattr(sys, "argv", command.split())
    lerobot_eval.main()
    info = json.loads((tmp_path / "out" / "eval_info.json").read_text())
    got = info["per_task"][0]["metrics"]["sum_rewards"]
    assert got == pytest.approx(roll_out_sb3("Pendulum-v1", oracle, 2, 4, normalizer), rel=1e-12)
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 4
