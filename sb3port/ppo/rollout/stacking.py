"""The last normalised frames of every environment, as a VecFrameStack around a VecNormalize keeps them.

In training statistics change from step to step, and a frame stays as it was normalised when it came.

Source: `stable_baselines3/common/vec_env/stacked_observations.py`.
"""

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.frames import Stack


class FrameHistory:
    """Stacks of normalised frames.

    Args:
        stack: How the frames of an observation lie.
        count: How many environments.

    Attributes:
        frames: Those that are seen, float32 `(n_envs, outer, count, inner)`; zeros where there are none yet.
    """

    def __init__(self, stack: Stack, count: int) -> None:
        self._stack = stack
        self.frames: NDArray[np.float32] = np.zeros((count, *stack.shape), np.float32)
        self._before = self.frames

    def newest(self, rows: Array) -> Array:
        """Give the newest frames, `(n, *frame)`, of raw observations `(n, *shape)`."""
        return np.ascontiguousarray(self._stack.split(rows)[:, :, -1]).reshape(-1, *self._stack.frame)

    def begin(self, frames: Array) -> Array:
        """Forget what was, take in the normalised first frames, and give the observations."""
        self.frames = np.zeros_like(self.frames)
        return self.push(frames, [])

    def push(self, frames: Array, ended: list[int]) -> Array:
        """Take in normalised frames, the first ones where an episode ended, and give the observations."""
        self._before = np.roll(self.frames, -1, axis=2)
        self.frames = self._before.copy()
        self.frames[ended] = 0
        self.frames[:, :, -1] = self._flat(frames)
        return self.seen(self.frames)

    def last(self, index: int, frame: Array) -> Array:
        """Give the last observation `(1, *shape)` of the episode that just ended in an environment."""
        stacked = self._before[[index]]
        stacked[:, :, -1] = self._flat(frame)
        return self.seen(stacked)

    def seen(self, frames: Array) -> Array:
        """Give frames as observations, `(n, *shape)`."""
        return frames.reshape(-1, *self._stack.observation)

    def _flat(self, frames: Array) -> Array:
        outer, _, inner = self._stack.shape
        return frames.reshape(-1, outer, inner)
