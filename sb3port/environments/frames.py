"""Frame stacking as SB3's VecFrameStack does it, for one environment."""

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sb3port.checkpoint.spaces import Box, Space, parts
from sb3port.networks.gymnasium_spaces import is_image

_MAX_STACK = 1000


class FrameStack(gym.Wrapper[Any, Any, Any, Any]):
    """The last observations side by side, the newest last, with zeros before the first of an episode.

    They are put together along the last axis, or the first of an image with its channels first
    (`stable_baselines3/common/vec_env/stacked_observations.py`). Gymnasium's FrameStackObservation gives
    them an axis of their own.

    An observation of nothing but zeros is shown as negative zeros, which are the same numbers: so a policy
    whose VecNormalize knew single frames can tell it from one that is not there (`checkpoint.frames`).

    Args:
        env: Its observations are a Box, or a Dict of Boxes.
        n_stack: How many observations.
        channels_order: "first" or "last" for that axis, or None to tell it from the space.

    Raises:
        ValueError: The observations are of another kind.
    """

    def __init__(self, env: gym.Env[Any, Any], n_stack: int, channels_order: str | None = None) -> None:
        super().__init__(env)
        if not 1 <= n_stack <= _MAX_STACK or channels_order not in (None, "first", "last"):
            raise ValueError(
                f"FrameStack cannot stack {n_stack} frames with channels_order {channels_order}."
            )
        self.count, self._order = n_stack, channels_order
        self._frames: Any = None
        stacked = self._each(self._stacked_space, env.observation_space)
        self.observation_space = spaces.Dict(stacked) if isinstance(stacked, dict) else stacked

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, before which there was nothing."""
        observation, info = self.env.reset(**kwargs)
        self._frames = self._each(lambda space: np.zeros(space.shape, space.dtype), self.observation_space)
        return self._push(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and forget the oldest observation."""
        observation, *rest = self.env.step(action)
        return self._push(observation), *rest

    def _push(self, observation: Any) -> Any:
        self._frames = self._each(self._pushed, self.env.observation_space, self._frames, observation)
        return self._frames

    def _pushed(self, space: spaces.Box, frames: NDArray[Any], observation: Any) -> NDArray[Any]:
        axis = self._axis(space)
        newest = np.asarray(observation, space.dtype)
        if space.dtype.kind == "f" and not newest.any():
            newest = np.full_like(newest, -0.0)
        kept = np.split(frames, [newest.shape[axis]], axis)[1]
        return np.concatenate([kept, newest], axis)

    def _stacked_space(self, space: spaces.Space[Any]) -> spaces.Box:
        if not isinstance(space, spaces.Box) or not space.shape:
            raise ValueError(f"FrameStack stacks Boxes, not {space}.")
        low, high = (np.repeat(bound, self.count, self._axis(space)) for bound in (space.low, space.high))
        return spaces.Box(low, high, dtype=space.dtype.type)

    def _axis(self, space: spaces.Box) -> int:
        if self._order is None:
            return 0 if is_image(space) and int(np.argmin(space.shape)) == 0 else -1
        return 0 if self._order == "first" else -1

    def _each(self, function: Callable[..., Any], space: spaces.Space[Any], *values: Any) -> Any:
        """Call a function with a Box and what belongs to it, or with each of a Dict."""
        if not isinstance(space, spaces.Dict):
            return function(space, *values)
        return {key: function(part, *(value[key] for value in values)) for key, part in space.spaces.items()}


class _Observed(Protocol):
    """An environment, or several of one kind."""

    observation_space: spaces.Space[Any]


def frames_missing(env: _Observed, wanted: Space) -> int | None:
    """Tell how many observations of an environment, stacked, have the shape that a policy wants.

    Args:
        env: The environment; frames that it stacks already are counted, too.
        wanted: The observations of the policy.

    Returns:
        The number of frames, None where stacking does not give that shape.
    """
    have = env.observation_space
    theirs = have.spaces if isinstance(have, spaces.Dict) else {"": have}
    counts = {_times(part, theirs[key]) if key in theirs else None for key, part in parts(wanted).items()}
    count = counts.pop() if len(counts) == 1 else None
    if count is None or count < 2:
        return None
    return count * (env.count if isinstance(env, FrameStack) else 1)


def _times(wanted: object, have: spaces.Space[Any]) -> int | None:
    """Give how often one shape fits along the axis of another that frames are stacked along."""
    if not isinstance(wanted, Box) or not isinstance(have, spaces.Box) or not have.shape:
        return None
    shapes = [have.shape]
    if is_image(have) and len(have.shape) == 3:  # a policy has the channels first
        shapes = [(have.shape[2], *have.shape[:2]), have.shape]
    for shape in shapes:
        axis = 0 if is_image(have) and shape[0] == min(shape) else len(shape) - 1
        times = wanted.shape[axis] // shape[axis] if len(wanted.shape) == len(shape) and shape[axis] else 0
        if wanted.shape == tuple(n * times if i == axis else n for i, n in enumerate(shape)):
            return times
    return None
