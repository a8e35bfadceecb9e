"""How an exported policy in NumPy reads observations and gives actions their bounds.

`sb3port export --to numpy` copies those that a policy needs into the module that it writes, with the layers
of `sb3port.inference.numpy_layers`. They use nothing but NumPy and each other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array


class Part:
    """An observation, or one part of it: its shape, and the steps from n of them to features.

    Args:
        shape: Of one.
        steps: Each is given what the one before it gives.
    """

    def __init__(self, shape: Array, steps: Sequence[Callable[[Array], Array]]) -> None:
        self.shape, self.steps = tuple(shape.tolist()), steps

    def is_batch(self, observation: Any) -> bool:
        """Whether there are several."""
        return np.ndim(observation) > len(self.shape)

    def rows(self, observation: Any) -> Array:
        """Give one or several as `(n, *shape)`."""
        rows = np.asarray(observation)
        if rows.shape != self.shape and rows.shape[1:] != self.shape:
            raise ValueError(f"an observation has the shape {rows.shape}, but the policy takes {self.shape}")
        return rows.reshape(-1, *self.shape)

    def __call__(self, observation: Any) -> Array:
        """Give the features `(n, features)`."""
        rows = self.rows(observation)
        for step in self.steps:
            rows = step(rows)
        return rows


class ImagePart(Part):
    """Images, whose channels come first, or last as a camera gives them."""

    def rows(self, observation: Any) -> Array:
        """Give one or several as `(n, C, H, W)`."""
        images = np.asarray(observation)
        if images.ndim in (3, 4) and images.shape[-3:] != self.shape:
            images = np.moveaxis(images, -1, -3)
        return super().rows(images)


class Normalize:
    """VecNormalize of SB3, with the statistics of the training: in float64, then float32."""

    def __init__(self, arrays: Mapping[str, Array], name: str) -> None:
        self.mean, self.std = arrays[f"{name}.mean"], arrays[f"{name}.std"]
        self.clip = arrays[f"{name}.clip_obs"].item()

    def __call__(self, rows: Array) -> Array:
        """Normalise."""
        return np.clip((rows - self.mean) / self.std, -self.clip, self.clip).astype(np.float32)


class NormalizeFrames(Normalize):
    """VecNormalize of each frame of a stack; frames that are not there yet are zeros, and stay so.

    Not there are all before the first frame that holds anything but zeros; the newest always is.
    """

    def __init__(self, arrays: Mapping[str, Array], name: str) -> None:
        super().__init__(arrays, name)
        self.frames = arrays[f"{name}.frames"].tolist()

    def __call__(self, rows: Array) -> Array:
        """Normalise."""
        frames = rows.reshape(-1, *self.frames)
        there = ((frames != 0) | np.signbit(frames)).any(axis=(1, 3))
        there[:, -1] = True
        begun = np.logical_or.accumulate(there, axis=1)[:, None, :, None]
        normalized = super().__call__(rows).reshape(frames.shape)
        return np.where(begun, normalized, np.float32(0)).reshape(rows.shape)


class OneHot:
    """One-hot vectors of choices, side by side."""

    def __init__(self, arrays: Mapping[str, Array], name: str) -> None:
        self.sizes = arrays[f"{name}.sizes"]
        self.offsets = np.cumsum(self.sizes) - self.sizes

    def __call__(self, rows: Array) -> Array:
        """Encode `(n, choices)`."""
        choices = rows.reshape(len(rows), -1).astype(np.int64)
        if ((choices < 0) | (choices >= self.sizes)).any():
            raise ValueError(f"a choice in an observation is none of those from 0 to below {self.sizes}")
        encoded = np.zeros((len(rows), self.sizes.sum()), np.float32)
        np.put_along_axis(encoded, choices + self.offsets, 1, axis=1)
        return encoded


class Clip:
    """Actions within the bounds of their space."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.low, self.high = arrays["low"][None], arrays["high"][None]

    def __call__(self, actions: Array) -> Array:
        """Give actions their shape, and bound them."""
        return np.clip(actions.reshape(-1, *self.low.shape[1:]), self.low, self.high)


class Unscale:
    """Actions between -1 and 1 to the bounds of their space."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.low, self.high = arrays["low"][None], arrays["high"][None]

    def __call__(self, actions: Array) -> Array:
        """Give actions their shape, and unscale them."""
        actions = actions.reshape(-1, *self.low.shape[1:])
        return self.low + 0.5 * (actions + 1.0) * (self.high - self.low)
