"""How far apart two arrays are, number by number: differences, units in the last place, a histogram."""

import numpy as np

from sb3port.checkpoint.checkpoint import Array

DECADES = (-12, 2)
PER_DECADE = 2
BINS = (DECADES[1] - DECADES[0]) * PER_DECADE


def differences(reference: Array, candidate: Array) -> Array:
    """Give absolute differences in float64: 0 where both are the same, NaN where only one side is NaN."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        difference = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    same = (reference == candidate) | (np.isnan(reference) & np.isnan(candidate))
    return np.where(same, 0.0, difference)


def max_relative(difference: Array, reference: Array) -> float:
    """Give the largest difference in units of the reference, infinite where that is 0."""
    differs = difference > 0
    with np.errstate(divide="ignore"):
        relative = difference[differs] / np.abs(reference[differs].astype(np.float64))
    return float(np.max(relative, initial=0.0))


def max_ulp(reference: Array, candidate: Array) -> int | None:
    """Give the largest distance in units in the last place; None for other types than one of float.

    On the line of all floats, neighbouring floats are neighbouring integers, sign included.
    """
    if reference.dtype != candidate.dtype or reference.dtype not in (np.float32, np.float64):
        return None
    one, other = _ordered(reference), _ordered(candidate)
    return int((np.maximum(one, other) - np.minimum(one, other)).max(initial=0))


def _ordered(array: Array) -> Array:
    """Give each float its place on that line, as an unsigned integer; negative ones count down."""
    sign = np.uint64(1 << (8 * array.itemsize - 1))
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{array.itemsize}").astype(np.uint64)
    return np.where(bits >= sign, sign - (bits - sign), sign + bits)


def binned(difference: Array) -> Array:
    """Count differences that are not 0 by magnitude, `PER_DECADE` bins for each power of ten.

    What is below or above `DECADES`, or NaN, is counted in the bin at that end.
    """
    numbers = np.nan_to_num(difference[difference != 0], nan=np.inf, posinf=np.inf)
    places = np.floor((np.log10(numbers) - DECADES[0]) * PER_DECADE)
    return np.bincount(np.clip(places, 0, BINS - 1).astype(np.int64), minlength=BINS)
