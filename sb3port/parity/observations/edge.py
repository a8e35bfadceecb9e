"""Observations at the edges: what rarely comes up, and where ports go wrong.

Zeros, bounds, values far beyond what VecNormalize clips, every choice, blank and saturated images; batches of
1, 7 and 256 rows, in float64 where the space is of floats, and in arrays that are not contiguous.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, parts
from sb3port.families.features import mask_size
from sb3port.networks.observations import Observations, ObservationSet, set_of
from sb3port.parity.observations.drawn import (
    N_SEQUENCES,
    batch_size,
    choice_groups,
    draw,
    draw_extras,
    near_bounds,
)

_SMALL_BATCHES = (1, 7)
# In standard deviations where there are statistics, else in units of the bounds, or of 1.
_FAR = (10.0, 100.0)


def edge_observations(spec: PolicySpec, normalizer: Normalizer | None, seed: int = 1) -> ObservationSet:
    """Make the batches; the same for equal arguments."""
    rng = np.random.default_rng(seed)
    statistics = normalizer.statistics if normalizer else {}
    whole = batch_size(spec)
    one, few, many = (_batch(spec, statistics, count, rng) for count in (*_SMALL_BATCHES, whole))
    extreme = _with_extreme_extras(spec, many)
    return set_of("edge", "edge cases", one, few, many, _in_float64(spec, few), _strided(many), *extreme)


def _batch(
    spec: PolicySpec, statistics: Mapping[str, RunningMeanStd], count: int, rng: np.random.Generator
) -> Observations:
    spaces = parts(spec.observation_space)
    shown = {key: _edges(space, statistics.get(key), count, rng) for key, space in spaces.items()}
    sequences = N_SEQUENCES if count > max(_SMALL_BATCHES) else count
    return replace(draw_extras(spec, count, sequences, rng), parts=shown)


def _edges(space: Simple, rms: RunningMeanStd | None, count: int, rng: np.random.Generator) -> Array:
    """Give the extreme values of a space, one a row, and random ones where there are more rows."""
    values = draw(space, rms, count, rng)
    extremes = _extremes(space, rms, count)[:count]
    values[: len(extremes)] = extremes
    return values


def _extremes(space: Simple, rms: RunningMeanStd | None, count: int) -> Array:
    match space:
        case Box():
            return _image_extremes(space) if space.is_image else _box_extremes(space, rms)
        case Discrete(n):
            return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))
        case MultiDiscrete(nvec):
            return np.stack([np.zeros_like(nvec), nvec - 1, (nvec - 1) // 2])
        case MultiBinary(shape):
            return np.stack([np.zeros(shape, np.int8), np.ones(shape, np.int8)])


def _image_extremes(space: Box) -> Array:
    """Black, white, a chessboard, one white pixel, and a ramp."""
    pixels = np.arange(space.size).reshape(space.shape)
    chessboard = np.indices(space.shape).sum(axis=0) % 2 * 255
    images = [pixels * 0, pixels * 0 + 255, chessboard, (pixels == space.size // 2) * 255, pixels % 256]
    return np.stack(images).astype(np.uint8)


def _box_extremes(space: Box, rms: RunningMeanStd | None) -> Array:
    """Zeros, the finite bounds, and what is far away on either side, alone and mixed."""
    _, low, high = near_bounds(space)
    centre, unit = _centre_and_unit(space, rms)
    signs = np.where(np.arange(space.size).reshape(space.shape) % 2, -1.0, 1.0)
    far = [centre + times * sign * unit for times in _FAR for sign in (1.0, -1.0, signs)]
    return _to_type(np.stack([np.zeros(space.shape), low, high, centre + np.zeros(space.shape), *far]), space)


def _centre_and_unit(space: Box, rms: RunningMeanStd | None) -> tuple[Any, Any]:
    if rms is not None:
        return rms.mean, np.sqrt(rms.var)
    _, low, high = near_bounds(space)
    largest = np.maximum(np.abs(low), np.abs(high))
    return 0.0, np.where(largest > 0, largest, 1.0)


def _to_type(values: Array, space: Box) -> Array:
    """Cast; floats may be beyond the bounds, as those of environments are, whole numbers may not."""
    dtype = np.dtype(space.dtype)
    if dtype.kind == "f":
        return values.astype(dtype)
    return np.clip(values, space.low, space.high).astype(dtype)


def _in_float64(spec: PolicySpec, batch: Observations) -> Observations:
    """Give the floats as float64, with digits that float32 has no room for."""
    kinds = parts(spec.observation_space)
    fine = {
        key: array.astype(np.float64) * (1 + 1e-9) if _is_float(kinds[key]) else array
        for key, array in batch.parts.items()
    }
    return replace(batch, parts=fine)


def _is_float(space: Simple) -> bool:
    return isinstance(space, Box) and np.dtype(space.dtype).kind == "f"


def _strided(batch: Observations) -> Observations:
    """Give every other row of arrays twice as long."""
    return replace(batch, parts={key: np.repeat(part, 2, axis=0)[::2] for key, part in batch.parts.items()})


def _with_extreme_extras(spec: PolicySpec, batch: Observations) -> list[Observations]:
    """Masks that leave one choice or all; episodes that start at every step or never, from zero states."""
    found = []
    if batch.masks is not None:
        masks = (_single_choices(spec, len(batch)), np.ones_like(batch.masks))
        found += [replace(batch, masks=mask) for mask in masks]
    if batch.starts is not None and batch.states is not None:
        starts = (np.ones_like(batch.starts), np.zeros_like(batch.starts))
        found += [replace(batch, starts=start, states=np.zeros_like(batch.states)) for start in starts]
    return found


def _single_choices(spec: PolicySpec, count: int) -> Array:
    masks, begin = np.zeros((count, mask_size(spec)), np.bool_), 0
    for size in choice_groups(spec.action_space):
        masks[np.arange(count), begin + np.arange(count) % size] = True
        begin += size
    return masks
