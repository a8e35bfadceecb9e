"""The wrappers that SB3's trainings put around environments, by name.

    sb3port eval PORT --wrapper TimeFeature --wrapper 'FrameStack:{"n_stack": 4}'
    lerobot-eval ... --env.wrappers='{"TimeFeature": {}, "FrameStack": {"n_stack": 4}}'

Each does to observations and actions what the class of rl_zoo3, sb3-contrib or SB3 does whose arguments it
has; the first is the innermost.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers

from sb3port.environments.frames import FrameStack

Env: TypeAlias = gym.Env[Any, Any]

_VELOCITIES = {
    "CartPole": [1, 3],
    "MountainCar": [1],
    "MountainCarContinuous": [1],
    "Pendulum": [2],
    "LunarLander": [2, 3, 5],
    "LunarLanderContinuous": [2, 3, 5],
}


class TimeFeature(gym.Wrapper[Any, Any, Any, Any]):
    """The share of the episode that remains, after the numbers of a vector.

    That is `sb3_contrib/common/wrappers/time_feature.py`.

    Args:
        env: Its observations are a vector, or a Dict with a vector under "observation".
        max_steps: Length of an episode, where the environment has no time limit.
        test_mode: Always say that the whole episode remains.

    Raises:
        ValueError: There is no such vector.
    """

    def __init__(self, env: Env, max_steps: int = 1000, test_mode: bool = False) -> None:
        super().__init__(env)
        self._max_steps = (env.spec.max_episode_steps if env.spec else None) or max_steps
        self._test_mode, self._step = test_mode, 0
        space = env.observation_space
        vector = space.spaces.get("observation") if isinstance(space, spaces.Dict) else space
        if not isinstance(vector, spaces.Box) or len(vector.shape) != 1:
            raise ValueError(f"TimeFeature needs a vector, not {space}.")
        self._dtype = vector.dtype
        low, high = np.append(vector.low, 0.0), np.append(vector.high, 1.0)
        longer = spaces.Box(low.astype(vector.dtype), high.astype(vector.dtype), dtype=vector.dtype.type)
        others = space.spaces if isinstance(space, spaces.Dict) else None
        self.observation_space = longer if others is None else spaces.Dict({**others, "observation": longer})

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, all of which remains."""
        self._step = 0
        observation, info = self.env.reset(**kwargs)
        return self._with_time(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and tell what remains."""
        self._step += 1
        observation, *rest = self.env.step(action)
        return self._with_time(observation), *rest

    def _with_time(self, observation: Any) -> Any:
        remaining = np.array(1.0 if self._test_mode else 1 - self._step / self._max_steps, self._dtype)
        if isinstance(observation, dict):
            return {**observation, "observation": np.append(observation["observation"], remaining)}
        return np.append(observation, remaining)


class FrameSkip(gym.Wrapper[Any, Any, Any, Any]):
    """Every action `skip` times, with the sum of the rewards; `rl_zoo3.wrappers.FrameSkip`."""

    def __init__(self, env: Env, skip: int = 4) -> None:
        super().__init__(env)
        if skip < 1:
            raise ValueError(f"FrameSkip repeats an action at least once, not {skip} times.")
        self._skip = skip

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step until the action has been repeated, or the episode is over."""
        total = 0.0
        for _ in range(self._skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


class MaskVelocity(gym.ObservationWrapper[Any, Any, Any]):
    """Zeros in the place of velocities; `rl_zoo3.wrappers.MaskVelocityWrapper`, in any version of its tasks.

    Raises:
        ValueError: It is not known which numbers are velocities.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        name = env.unwrapped.spec.id.rpartition("-v")[0] if env.unwrapped.spec else ""
        if name not in _VELOCITIES:
            raise ValueError(f"MaskVelocity knows no velocities of {name or 'this environment'}.")
        self._mask = np.ones(env.observation_space.shape or (), env.observation_space.dtype)
        self._mask[_VELOCITIES[name]] = 0

    def observation(self, observation: Any) -> Any:
        """Mask an observation."""
        return observation * self._mask


def _resized(env: Env, shape: Any) -> Env:
    """`rl_zoo3.wrappers.YAMLCompatResizeObservation`, or Gymnasium's own; one number is a square."""
    height, width = (shape, shape) if isinstance(shape, int) else shape
    return wrappers.ResizeObservation(env, (height, width))


def _rescaled(env: Env, min_action: Any, max_action: Any) -> Env:
    """Gymnasium's own, which wants numbers or arrays."""
    low, high = (np.array(b) if isinstance(b, list) else b for b in (min_action, max_action))
    return wrappers.RescaleAction(env, low, high)


def _rescaled_observation(env: Env, min_obs: Any, max_obs: Any) -> Env:
    low, high = (np.array(b) if isinstance(b, list) else b for b in (min_obs, max_obs))
    return wrappers.RescaleObservation(env, low, high)


WRAPPERS: dict[str, Callable[..., Env]] = {
    "AtariPreprocessing": wrappers.AtariPreprocessing,
    "ClipAction": wrappers.ClipAction,
    "ClipReward": wrappers.ClipReward,
    "DelayObservation": wrappers.DelayObservation,
    "FilterObservation": wrappers.FilterObservation,
    "FlattenObservation": wrappers.FlattenObservation,
    "FrameSkip": FrameSkip,
    "FrameStack": FrameStack,
    "FrameStackObservation": wrappers.FrameStackObservation,
    "GrayscaleObservation": wrappers.GrayscaleObservation,
    "MaskVelocity": MaskVelocity,
    "MaxAndSkipObservation": wrappers.MaxAndSkipObservation,
    "RescaleAction": _rescaled,
    "RescaleObservation": _rescaled_observation,
    "ReshapeObservation": wrappers.ReshapeObservation,
    "ResizeObservation": _resized,
    "StickyAction": wrappers.StickyAction,
    "TimeAwareObservation": wrappers.TimeAwareObservation,
    "TimeFeature": TimeFeature,
    "TimeLimit": wrappers.TimeLimit,
}


def wrap(env: Env, name: str, kwargs: Mapping[str, Any]) -> Env:
    """Put a wrapper around an environment.

    Args:
        env: The environment.
        name: A key of `WRAPPERS`.
        kwargs: The wrapper's arguments.

    Raises:
        ValueError: There is no wrapper of this name, or it does not fit: other arguments, other spaces, or
            a package that it needs is not installed.
    """
    if name not in WRAPPERS:
        raise ValueError(f"There is no wrapper {name}, but {', '.join(WRAPPERS)}.")
    try:
        return WRAPPERS[name](env, **kwargs)
    except (TypeError, ValueError, AssertionError, AttributeError, gym.error.Error) as error:
        reason = str(error).strip() or type(error).__name__
        raise ValueError(f"The wrapper {name} with {dict(kwargs)} does not fit: {reason}") from error
