"""From raw observations to what networks take, with SB3's numbers, in numpy.

Sources: `VecNormalize.normalize_obs`, `BasePolicy.obs_to_tensor` and `preprocess_obs` of stable_baselines3.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.frames import missing, stack_of
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, parts

Input: TypeAlias = Array | dict[str, Array]
"""float32 `(n, *shape)`, choices as one-hot vectors `(n, k)`, images as they are, `(n, C, H, W)`; for a Dict
one of them for every key."""


class ObservationReader:
    """Batches, normalises and encodes raw observations.

    Args:
        spec: The policy's.
        normalizer: The statistics, None without any.
    """

    def __init__(self, spec: PolicySpec, normalizer: Normalizer | None) -> None:
        spaces = parts(spec.observation_space)
        self._is_dict = isinstance(spec.observation_space, Dict)
        self._parts = {key: _PartReader(key, space, normalizer) for key, space in spaces.items()}
        self._only = None if self._is_dict else self._parts[""]

    def __call__(self, observation: Any) -> tuple[Input, int, bool]:
        """Read one observation, or a batch.

        Returns:
            What networks take, the number of observations, and whether it was a batch.

        Raises:
            ValueError: A part is missing, or has another shape than its space.
        """
        if self._only is not None:
            return self._only(observation)
        if not isinstance(observation, dict):
            raise ValueError(f"the observation is a {type(observation).__name__}, but the space is a Dict")
        if missing := [key for key in self._parts if key not in observation]:
            raise ValueError(f"the observation has no {', '.join(missing)}")
        read = {key: part(observation[key]) for key, part in self._parts.items()}
        counts = {(count, is_batch) for _, count, is_batch in read.values()}
        if len(counts) > 1:
            raise ValueError("the parts of the observation are not all single, or not equally many")
        return ({key: rows for key, (rows, _, _) in read.items()}, *counts.pop())


class _PartReader:
    """Reads a part of an observation, or all of it."""

    def __init__(self, key: str, space: Simple, normalizer: Normalizer | None) -> None:
        self._name = f"observation {key!r}" if key else "the observation"
        self._shape, self._rows = space.shape, (-1, *space.shape)
        statistics = normalizer.statistics.get(key) if normalizer else None
        # VecNormalize makes a Box of floats of an image.
        is_normalised = statistics is not None and len(space.shape) == 3
        self._is_image = isinstance(space, Box) and (space.is_image or is_normalised)
        self._normalize = _normalization(statistics, normalizer, space.shape)
        self._encode = _encoder(space)

    def __call__(self, raw: Any) -> tuple[Array, int, bool]:
        rows = np.asarray(raw)
        if self._is_image:
            rows = self._channels_first(rows)
        is_batch = rows.shape != self._shape
        if is_batch and (rows.shape[1:] != self._shape or not rows.ndim):
            raise ValueError(f"{self._name} has the shape {rows.shape}, but the policy takes {self._shape}")
        # Also a batch, as SB3 does: the strides of a batch of one change, and with them the convolutions.
        rows = rows.reshape(self._rows)
        if self._normalize is not None:
            rows = self._normalize(rows)
        return self._encode(rows), len(rows), is_batch

    def _channels_first(self, rows: Array) -> Array:
        """Move channels that come last, without copying: convolutions depend on the layout."""
        if rows.shape[-len(self._shape) :] == self._shape or rows.ndim - len(self._shape) not in (0, 1):
            return rows
        return rows.transpose(2, 0, 1) if rows.ndim == len(self._shape) else rows.transpose(0, 3, 1, 2)


def _normalization(
    rms: RunningMeanStd | None, normalizer: Normalizer | None, shape: tuple[int, ...]
) -> Callable[[Array], Array] | None:
    if rms is None or normalizer is None:
        return None
    stack = stack_of(rms.mean.shape, shape)
    # With the shape of a batch of one: for one observation numpy has nothing to broadcast.
    mean, std = rms.mean[None], np.sqrt(rms.var + normalizer.epsilon)[None]
    if stack is not None:
        mean, std = stack.repeated(mean[0])[None], stack.repeated(std[0])[None]
    high = np.full_like(mean, normalizer.clip_obs)
    low = -high

    def normalize(rows: Array) -> Array:
        normalized: Array = rows - mean
        normalized /= std
        return normalized.clip(low, high, out=normalized).astype(np.float32)

    if stack is None:
        return normalize
    return lambda rows: np.where(missing(rows, stack), np.float32(0), normalize(rows))


def _encoder(space: Simple) -> Callable[[Array], Array]:
    match space:
        case Box() if space.is_image:
            return lambda rows: rows
        case Box() | MultiBinary():
            return lambda rows: rows.astype(np.float32, copy=False)
        case Discrete(n):
            return lambda rows: _one_hot(rows.reshape(-1, 1), [n])
        case MultiDiscrete(nvec):
            sizes = nvec.tolist()
            return lambda rows: _one_hot(rows, sizes)


def _one_hot(rows: Array, sizes: list[int]) -> Array:
    """Give one-hot vectors of the columns, side by side; starts of spaces are not subtracted, as in SB3."""
    columns = rows.astype(np.int64).T
    if any(((column < 0) | (column >= size)).any() for column, size in zip(columns, sizes, strict=True)):
        raise ValueError(f"the observation has choices beyond the number of them, {sizes}")
    encoded = [np.eye(size, dtype=np.float32)[column] for column, size in zip(columns, sizes, strict=True)]
    return np.concatenate(encoded, axis=1)
