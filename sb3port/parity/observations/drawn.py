"""Observations drawn at random: what a policy could meet, where nobody recorded what it met."""

from dataclasses import replace
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Normalizer, PolicySpec, RunningMeanStd
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, parts
from sb3port.families.features import mask_size
from sb3port.networks.observations import BLOCK_NUMBERS, Observations, ObservationSet, set_of

COUNT = 256
# Large images are fewer.
_MIN_COUNT = 32
N_SEQUENCES = 8
_STARTS, _ALLOWED = 0.1, 0.6


def drawn_observations(spec: PolicySpec, normalizer: Normalizer | None, seed: int = 0) -> ObservationSet:
    """Draw observations that the policy could meet, and some beyond.

    Around the running statistics where there are any (three standard deviations wide, so that some are
    clipped), else uniformly within finite bounds, else from a standard normal distribution. Masks and starts
    of episodes are drawn, too, and the states before the first rows are not zero.
    """
    rng = np.random.default_rng(seed)
    spaces = parts(spec.observation_space)
    statistics = normalizer.statistics if normalizer else {}
    count = batch_size(spec)
    drawn = {key: draw(space, statistics.get(key), count, rng) for key, space in spaces.items()}
    where = "around the running statistics" if statistics else "from the observation space"
    batch = replace(draw_extras(spec, count, min(N_SEQUENCES, count), rng), parts=drawn)
    return set_of("drawn", f"drawn {where}", batch)


def batch_size(spec: PolicySpec) -> int:
    """How many observations make a batch, unless they are very large."""
    numbers = sum(space.size for space in parts(spec.observation_space).values())
    return COUNT if numbers * COUNT <= 2 * BLOCK_NUMBERS else _MIN_COUNT


def draw(space: Simple, rms: RunningMeanStd | None, count: int, rng: np.random.Generator) -> Array:
    """Draw observations of one space, around its statistics where it has some."""
    match space:
        case Box():
            return _draw_box(space, rms, count, rng)
        case Discrete(n):  # SB3 counts observations from 0, whatever the start of the space
            return rng.integers(0, n, count)
        case MultiDiscrete(nvec):
            return rng.integers(0, nvec, (count, *space.shape))
        case MultiBinary(shape):
            return rng.integers(0, 2, (count, *shape), dtype=np.int8)


def _draw_box(space: Box, rms: RunningMeanStd | None, count: int, rng: np.random.Generator) -> Array:
    noise = rng.standard_normal((count, *space.shape))
    if rms is not None:
        return _cast(rms.mean + 3 * np.sqrt(rms.var) * noise, space)
    bounded, low, high = near_bounds(space)
    uniform = low + (high - low) * rng.random(noise.shape)
    return _cast(np.where(bounded, uniform, noise), space)


def near_bounds(space: Box) -> tuple[Array, Array, Array]:
    """Say which elements have bounds that could be reached, and give these in float64, 0 for the others."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    bounded = (np.abs(low) < 1e6) & (np.abs(high) < 1e6)
    return bounded, np.where(bounded, low, 0.0), np.where(bounded, high, 0.0)


def _cast(values: Array, space: Box) -> Array:
    return np.clip(values, space.low, space.high).astype(space.dtype)


def draw_extras(spec: PolicySpec, count: int, sequences: int, rng: np.random.Generator) -> Observations:
    """Draw what only some policies are given beside observations, which are left out.

    Args:
        spec: The policy.
        count: How many rows.
        sequences: Of how many sequences the rows are, for a recurrent policy.
        rng: Where randomness comes from.
    """
    masks = _draw_masks(spec, count, rng) if spec.maskable else None
    if spec.lstm_hidden_size is None:
        return Observations({}, masks=masks)
    shape = (4, spec.n_lstm_layers, sequences, spec.lstm_hidden_size)
    starts = rng.random(count) < _STARTS
    starts[: count // sequences] = False  # one sequence without
    states = (0.5 * rng.standard_normal(shape)).astype(np.float32)
    return Observations({}, masks=masks, starts=starts, states=states)


def _draw_masks(spec: PolicySpec, count: int, rng: np.random.Generator) -> Array:
    """Allow some choices, at least one of each group of which one is made, and in the first row all."""
    masks = rng.random((count, mask_size(spec))) < _ALLOWED
    begin = 0
    for size in choice_groups(spec.action_space):
        chosen = rng.integers(0, size, count)
        masks[np.arange(count), begin + chosen] = True
        begin += size
    masks[0] = True
    return masks


def choice_groups(space: Any) -> list[int]:
    """How many choices there are wherever one is made."""
    if isinstance(space, Discrete):
        return [space.n]
    return [2] * space.size if isinstance(space, MultiBinary) else space.nvec.tolist()
