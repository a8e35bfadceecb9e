"""Statistics of one frame, of observations that are several frames: a VecFrameStack around a VecNormalize.

rl_zoo3 normalises first and stacks then, so that VecNormalize knows one frame, and the policy several of them
side by side. Each frame is normalised by the same statistics. Before the first frame of an episode there are
none: VecFrameStack has zeros there, which nothing normalises
(`stable_baselines3/common/vec_env/stacked_observations.py`).

A policy is shown raw frames. Those before the first one are told by being nothing but zeros (`missing`); that
a frame which is there looks the same is prevented by `environments.frames.FrameStack`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, Normalizer
from sb3port.checkpoint.spaces import Box, Dict, Simple, Space, parts

Shape: TypeAlias = tuple[int, ...]

FLOATS = ("float32", "float64")
"""The types of observations whose normalised frames VecFrameStack keeps; it rounds them to any other."""


@dataclass(frozen=True)
class Stack:
    """How frames lie side by side in an observation.

    Args:
        frame: The shape of one.
        count: How many, the newest last.
        axis: Along which they are put together: the last, or 0.
    """

    frame: Shape
    count: int
    axis: int

    @property
    def shape(self) -> Shape:
        """An observation as `(outer, count, inner)`: `inner` numbers of a frame are next to each other."""
        return math.prod(self.frame[: self.axis]), self.count, math.prod(self.frame[self.axis :])

    @property
    def observation(self) -> Shape:
        """The shape of all frames together."""
        length = self.frame[self.axis] * self.count
        return (*self.frame[: self.axis], length, *self.frame[self.axis + 1 :])

    def split(self, rows: Array) -> Array:
        """Give observations `(B, *shape)` as `(B, outer, count, inner)`."""
        return rows.reshape(-1, *self.shape)

    def repeated(self, statistic: Array) -> Array:
        """Give a statistic of one frame for all of them, in the shape of the observation."""
        copies = [self.count if axis == self.axis else 1 for axis in range(len(self.frame))]
        return np.tile(statistic, copies)


def stack_of(frame: Shape, observation: Shape) -> Stack | None:
    """Tell how frames are stacked, by the shapes of one and of the observation.

    VecFrameStack puts them together along the last axis, or the first.

    Returns:
        The stack; None where the observation is not two or more such frames.
    """
    if len(frame) != len(observation) or 0 in frame:
        return None
    for axis in {len(frame) - 1, 0} if frame else ():
        stack = Stack(frame, observation[axis] // frame[axis], axis)
        if stack.count > 1 and stack.observation == observation:
            return stack
    return None


def stacks_of(normalizer: Normalizer | None, space: Space) -> dict[str, Stack]:
    """Give the stacks by the keys of the observations whose statistics are of one frame."""
    statistics = normalizer.statistics if normalizer else {}
    shapes = {key: part.shape for key, part in parts(space).items() if key in statistics}
    found = {key: stack_of(statistics[key].mean.shape, shape) for key, shape in shapes.items()}
    return {key: stack for key, stack in found.items() if stack is not None}


def missing(rows: Array, stack: Stack) -> NDArray[np.bool_]:
    """Say which numbers are of frames that are not there: all before the first that is not of zeros alone.

    A negative zero is one that is there, as is the newest frame, whatever it holds.

    Args:
        rows: Raw observations `(B, *shape)`.
        stack: How their frames lie.

    Returns:
        bool, of the shape of `rows`.
    """
    frames = stack.split(rows)
    there = ((frames != 0) | np.signbit(frames)).any(axis=(1, 3))
    there[:, -1] = True
    absent = ~np.logical_or.accumulate(there, axis=1)
    return np.broadcast_to(absent[:, None, :, None], frames.shape).reshape(rows.shape)


def frame_space(space: Space, stacks: Mapping[str, Stack]) -> Space:
    """Give the space of one frame, which VecNormalize sees, where observations are stacks.

    Args:
        space: Of the policy's observations.
        stacks: By the keys of those that are normalised; VecFrameStack stacks the others as often.
    """
    count = next((stack.count for stack in stacks.values()), 1)
    if count == 1:
        return space
    frames = {key: _frame(part, stacks.get(key), count) for key, part in parts(space).items()}
    return Dict(frames) if isinstance(space, Dict) else frames[""]


def _frame(space: Simple, stack: Stack | None, count: int) -> Simple:
    """Give the space of the newest frame, along the axis of the stack or that of VecFrameStack's choice."""
    if not isinstance(space, Box) or not space.shape:
        return space
    channels_first = space.is_image and space.shape == space.channels_first
    axis = stack.axis if stack else 0 if channels_first else len(space.shape) - 1
    newest = range(space.shape[axis] - space.shape[axis] // count, space.shape[axis])
    low, high = (np.take(bound, newest, axis) for bound in (space.low, space.high))
    return Box(low.shape, space.dtype, low, high)
