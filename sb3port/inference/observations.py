"""From raw observations to what networks take, with SB3's numbers, in numpy.

Sources: `VecNormalize.normalize_obs`, `BasePolicy.obs_to_tensor` and `preprocess_obs` of stable_baselines3.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.frames import missing, stack_of
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, parts
from sb3port.errors import UnfitInput, UnknownChoice

# Bytes of the longest number of a kind that torch has.
_LONGEST = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16}
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
            UnfitInput: It is not an observation of the space, or several.
        """
        if self._only is not None:
            return self._only(observation)
        if not isinstance(observation, dict):
            refuse_reset(observation)
            raise UnfitInput(f"the observation is a {type(observation).__name__}, but the space is a Dict")
        if set(observation) != set(self._parts):
            raise UnfitInput(_other_keys(self._parts, observation))
        read = {key: part(observation[key]) for key, part in self._parts.items()}
        counts = {(count, is_batch) for _, count, is_batch in read.values()}
        if len(counts) > 1:
            raise UnfitInput("the parts of the observation are not all single, or not equally many")
        return ({key: rows for key, (rows, _, _) in read.items()}, *counts.pop())


def refuse_reset(given: Any) -> None:
    """Refuse what `reset` of Gymnasium gives, in the words of SB3's `predict`.

    Raises:
        UnfitInput: It is a tuple of an observation and info.
    """
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):
        raise UnfitInput(
            "the observation is a tuple of an observation and info, as reset() of Gymnasium gives it: write "
            "observation, info = env.reset(), and give predict the observation alone"
        )


def _other_keys(wanted: Collection[str], given: Collection[Any]) -> str:
    missing, extra = ([str(k) for k in a if k not in b] for a, b in ((wanted, given), (given, wanted)))
    lacks = f"has no {', '.join(missing)}" if missing else ""
    has = f"has {', '.join(extra)}, which the policy was not trained with" if extra else ""
    return f"the observation {', and '.join(filter(None, (lacks, has)))}; its keys are {', '.join(wanted)}"


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
        self._encode = encoder(space)

    def __call__(self, raw: Any) -> tuple[Array, int, bool]:
        rows = self._numbers(raw)
        if self._is_image:
            rows = self._channels_first(rows)
        is_batch = rows.shape != self._shape
        if is_batch and (rows.shape[1:] != self._shape or not rows.ndim or not len(rows)):
            raise UnfitInput(
                f"{self._name} has the shape {rows.shape}, but the policy takes {self._shape}, or "
                f"(n, {', '.join(map(str, self._shape))}) for n of them".replace(", )", ",)")
            )
        # Also a batch, as SB3 does: the strides of a batch of one change, and with them the convolutions.
        rows = rows.reshape(self._rows)
        if self._normalize is not None:
            rows = self._normalize(rows)
        return self._encode(rows), len(rows), is_batch

    def _numbers(self, raw: Any) -> Array:
        """Give an array of numbers that torch has, too."""
        try:
            rows = np.asarray(raw)
        except (ValueError, TypeError, RuntimeError):  # ragged lists; tensors that are elsewhere
            rows = None
        if rows is None or rows.dtype.kind not in "biufc" or rows.dtype.itemsize > _LONGEST[rows.dtype.kind]:
            refuse_reset(raw)
            of = f" of {rows.dtype.name}" if rows is not None and rows.ndim else ""
            raise UnfitInput(f"{self._name} is a {type(raw).__name__}{of}, which is no array of numbers")
        return rows

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


def encoder(space: Simple) -> Callable[[Array], Array]:
    """Give what makes float32 rows, or one-hot vectors, of observations `(n, ...)`; it leaves images be."""
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
    with np.errstate(invalid="ignore"):  # of NaN numpy makes a number that is refused
        columns = rows.astype(np.int64).T
    if any(((column < 0) | (column >= size)).any() for column, size in zip(columns, sizes, strict=True)):
        raise UnknownChoice(sizes)
    encoded = [np.eye(size, dtype=np.float32)[column] for column, size in zip(columns, sizes, strict=True)]
    return np.concatenate(encoded, axis=1)
