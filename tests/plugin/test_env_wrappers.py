"""The wrappers give the bits that SB3's, sb3-contrib's and rl_zoo3's classes give."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import draccus
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from lerobot_policy_ppo.env_gymnasium import LeRobotGymnasium
from sb3_contrib.common.wrappers import TimeFeatureWrapper
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from lerobot_policy_ppo import GymnasiumEnvConfig
from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.environments.wrappers import WRAPPERS, wrap
from sb3port.families.wrappers import _KNOWN, applied, unknown

VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float64)
IMAGE = spaces.Box(0, 255, (12, 10, 1), np.uint8)
FIRST = spaces.Box(0, 255, (2, 12, 10), np.uint8)
SPACES = {
    "vector": VECTOR,
    "matrix": spaces.Box(-2.0, 3.0, (4, 2), np.float32),
    "image": IMAGE,
    "image with its channels first": FIRST,
    "dict": spaces.Dict({"z": VECTOR, "a": IMAGE, "b": FIRST}),
}


class Drawn(gym.Env[Any, Any]):
    """Random observations of any space, in episodes of random length."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.observation_space = space
        self._drawn = deepcopy(space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self._drawn.seed(seed)
        return self._drawn.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        over = bool(self.np_random.random() < 0.2)
        return self._drawn.sample(), 1.0, over, False, {}


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
        return
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert ours.tobytes() == theirs.tobytes()


def row(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: value[0].copy() for key, value in observation.items()}
    return observation[0].copy()


@pytest.mark.parametrize("n_stack", [1, 4])
@pytest.mark.parametrize("name", SPACES)
def test_frame_stack_is_that_of_sb3(name: str, n_stack: int) -> None:
    ours = wrap(Drawn(SPACES[name]), "FrameStack", {"n_stack": n_stack})
    theirs = VecFrameStack(DummyVecEnv([lambda: Drawn(SPACES[name])]), n_stack)
    assert ours.observation_space == theirs.observation_space
    theirs.seed(3)
    observation, _ = ours.reset(seed=3)
    assert_same(observation, row(theirs.reset()))
    ends = 0
    for _ in range(30):
        observation, _, over, _, _ = ours.step(0)
        expected, _, _, infos = theirs.step([0])
        assert_same(observation, infos[0]["terminal_observation"] if over else row(expected))
        if over:
            ends += 1
            assert_same(ours.reset()[0], row(expected))
    assert ends > 2


@pytest.mark.parametrize("order", ["first", "last"])
def test_frame_stack_along_a_given_axis(order: str) -> None:
    ours = wrap(Drawn(SPACES["matrix"]), "FrameStack", {"n_stack": 3, "channels_order": order})
    theirs = VecFrameStack(DummyVecEnv([lambda: Drawn(SPACES["matrix"])]), 3, order)
    assert ours.observation_space == theirs.observation_space


class Goal(gym.ObservationWrapper[Any, Any, Any]):
    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        parts = {"observation": env.observation_space, "goal": spaces.Box(0.0, 1.0, (2,))}
        self.observation_space = spaces.Dict(parts)

    def observation(self, observation: Any) -> dict[str, Any]:
        return {"observation": observation, "goal": np.zeros(2, np.float32)}


TIMED: dict[str, Callable[[], gym.Env[Any, Any]]] = {
    "time limit": lambda: gym.make("Pendulum-v1"),
    "another time limit": lambda: gym.make("Pendulum-v1", max_episode_steps=7),
    "no time limit": lambda: gym.make("Pendulum-v1").unwrapped,
    "no spec": lambda: Drawn(VECTOR),
    "dict": lambda: Goal(gym.make("Pendulum-v1")),
}


@pytest.mark.parametrize("kwargs", [{}, {"max_steps": 5}, {"test_mode": True}], ids=str)
@pytest.mark.parametrize("name", TIMED)
def test_time_feature_is_that_of_sb3_contrib(name: str, kwargs: dict[str, Any]) -> None:
    ours, theirs = wrap(TIMED[name](), "TimeFeature", kwargs), TimeFeatureWrapper(TIMED[name](), **kwargs)
    assert ours.observation_space == theirs.observation_space
    for _ in range(2):
        assert_same(ours.reset(seed=1)[0], theirs.reset(seed=1)[0])
        action = ours.action_space.sample()
        for _ in range(6):
            assert_same(ours.step(action)[0], theirs.step(action)[0])


def test_frame_skip_sums_rewards_until_the_end() -> None:
    env = wrap(gym.make("CartPole-v1"), "FrameSkip", {"skip": 4})
    env.reset(seed=0)
    rewards, over = [], False
    while not over:
        _, reward, over, _, _ = env.step(1)
        rewards.append(reward)
    plain = gym.make("CartPole-v1")
    plain.reset(seed=0)
    length = next(n for n in range(1, 100) if plain.step(1)[2])
    assert sum(rewards) == length
    assert rewards[:-1] == [4.0] * (len(rewards) - 1)


def test_velocities_are_masked() -> None:
    env = wrap(gym.make("Pendulum-v1"), "MaskVelocity", {})
    observation = env.reset(seed=0)[0]
    assert (observation[2], observation.dtype) == (0.0, np.float32)
    assert observation[:2].all()


def test_actions_are_rescaled() -> None:
    env = wrap(gym.make("Pendulum-v1"), "RescaleAction", {"min_action": -1, "max_action": 1})
    plain = gym.make("Pendulum-v1")
    env.reset(seed=0)
    plain.reset(seed=0)
    assert (env.action_space.low, env.action_space.high) == (-1, 1)
    assert_same(env.step(np.float32([0.5]))[0], plain.step(np.float32([1.0]))[0])


def test_images_are_resized_and_grey() -> None:
    pytest.importorskip("cv2")
    env: gym.Env[Any, Any] = Drawn(spaces.Box(0, 255, (30, 40, 3), np.uint8))
    env = wrap(env, "ResizeObservation", {"shape": [12, 10]})
    env = wrap(env, "GrayscaleObservation", {"keep_dim": True})
    assert env.reset(seed=0)[0].shape == env.observation_space.shape == (12, 10, 1)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Nope", {}, "There is no wrapper Nope, but AtariPreprocessing"),
        ("TimeFeature", {"steps": 3}, "TimeFeature with {'steps': 3} does not fit: .*unexpected keyword"),
        ("TimeFeature", {}, "TimeFeature needs a vector"),
        ("FrameStack", {}, "missing 1 required"),
        ("FrameStack", {"n_stack": 10**9}, "cannot stack 1000000000 frames"),
        ("FrameStack", {"n_stack": "4"}, "does not fit"),
        ("FrameSkip", {"skip": 0}, "at least once"),
        ("MaskVelocity", {}, "knows no velocities of this environment"),
        ("RescaleAction", {"min_action": 0, "max_action": 1}, "does not fit"),
        ("ResizeObservation", {"shape": [1, 2, 3]}, "does not fit"),
    ],
)
def test_wrappers_that_do_not_fit(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrap(Drawn(spaces.Box(0, 255, (30, 40, 3), np.uint8)), name, kwargs)


def test_every_name_of_a_file_is_a_wrapper() -> None:
    assert {known.ours for known in _KNOWN.values()} - {None} | {"FrameStack"} == set(WRAPPERS)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("sb3_contrib.common.wrappers.TimeFeatureWrapper", ["TimeFeature"]),
        ("sb3_contrib.common.wrappers.time_feature.TimeFeatureWrapper", ["TimeFeature"]),
        ("utils.wrappers.TimeFeatureWrapper", ["TimeFeature"]),
        ("rl_zoo3.wrappers.FrameSkip", ["FrameSkip"]),
        ("gymnasium.wrappers.transform_observation.GrayscaleObservation", ["GrayscaleObservation"]),
        ("stable_baselines3.common.monitor.Monitor", []),
    ],
)
def test_names_that_are_known(name: str, ours: list[str]) -> None:
    environment = EnvironmentSpec(wrappers=(Wrapper(name),))
    assert [wrapper.name for wrapper in applied(environment)] == ours
    assert unknown(environment) == []


@pytest.mark.parametrize(
    "name",
    [
        "owned.TimeFeatureWrapper",
        "TimeFeatureWrapper",
        "TimeFeature",
        "minigrid.wrappers.FlatObsWrapper",
        "stable_baselines3.common.atari_wrappers.AtariWrapper",
    ],
)
def test_names_that_are_not_known(name: str) -> None:
    environment = EnvironmentSpec(wrappers=(Wrapper(name),))
    assert (applied(environment), unknown(environment)) == ((), [name])


def test_lerobot_sees_wrapped_environments() -> None:
    wrappers = {"TimeFeature": {}, "FrameStack": {"n_stack": 2}}
    config = GymnasiumEnvConfig(task="Pendulum-v1", wrappers=wrappers)
    assert config.features["agent_pos"].shape == (8,)
    env = gym.make(config.gym_id, **config.gym_kwargs)
    assert isinstance(env.unwrapped, LeRobotGymnasium)
    observation = env.reset(seed=0)[0]["agent_pos"]
    assert observation.tolist()[:4] == [0.0] * 4
    assert observation[7] == 1.0
    with pytest.raises(ValueError, match="there is no wrapper Nope"):
        GymnasiumEnvConfig(task="Pendulum-v1", wrappers={"Nope": None})


def test_wrappers_are_read_from_the_command_line_in_order() -> None:
    argument = '--wrappers={"TimeFeature": {}, "FrameStack": {"n_stack": 2}}'
    config = draccus.parse(GymnasiumEnvConfig, args=[argument])
    assert list(config.wrappers.items()) == [("TimeFeature", {}), ("FrameStack", {"n_stack": 2})]


def test_lerobot_takes_the_names_of_our_commands() -> None:
    wrappers = '--wrappers={"TimeFeatureWrapper": {}, "gymnasium.wrappers:ClipReward": {"min_reward": -1}}'
    config = draccus.parse(GymnasiumEnvConfig, args=[wrappers, "--frame_stack=2"])
    assert config.features["agent_pos"].shape == (8,)
    env = gym.make(config.gym_id, **config.gym_kwargs)
    assert env.reset(seed=0)[0]["agent_pos"].tolist()[:4] == [0.0] * 4
    with pytest.raises(ValueError, match=r"there is no wrapper Framestack; did you mean FrameStack\?"):
        GymnasiumEnvConfig(task="Pendulum-v1", wrappers={"Framestack": None})
