"""Comparing two arrays: how far apart they are, where, and what that means. No input or output here.

Sameness has two words. *bit-exact*: every bit is the same. *within noise*: no difference is larger than
max(1e-6, 8 times the oracle's own float32-against-float64 gap) on the same observations.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from sb3port.checkpoint import Array

FLOOR = 1e-6
NOISE_FACTOR = 8.0
# An oracle that is this unsure of itself, relative to the scale of its outputs, proves nothing.
MAX_RELATIVE_NOISE = 1e-3


class Verdict(StrEnum):
    """What a check says, best first."""

    BIT_EXACT = "bit-exact"
    WITHIN_NOISE = "within noise"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"


@dataclass(frozen=True)
class Worst:
    """The element with the largest difference."""

    index: tuple[int, ...]
    reference: float
    candidate: float


@dataclass(frozen=True)
class Comparison:
    """The outcome of comparing a candidate with a reference.

    Args:
        verdict: What the numbers mean.
        shape: Of the reference.
        max_abs: Largest absolute difference (NaN where one side is NaN and the other is not).
        mean_abs: Mean absolute difference.
        max_ulp: Largest distance in units in the last place, None for integers or different types.
        scale: Largest absolute value of the reference.
        noise: The oracle's own noise, None where it was not asked.
        worst: Where the difference is largest, None where there is none.
        reason: A sentence where no comparison was possible, else empty.
    """

    verdict: Verdict
    shape: tuple[int, ...] = ()
    max_abs: float = 0.0
    mean_abs: float = 0.0
    max_ulp: int | None = None
    scale: float = 0.0
    noise: float | None = None
    worst: Worst | None = None
    reason: str = ""


def compare(reference: Array, candidate: Array, noise: float | None = None) -> Comparison:
    """Compare a candidate with a reference, element by element.

    Args:
        reference: What the oracle gave, or what was recorded.
        candidate: What the port gave.
        noise: The oracle's largest float32-against-float64 difference on the same observations. Without it
            nothing but bit-exact passes.
    """
    if reference.shape != candidate.shape:
        reason = f"the shapes differ: {reference.shape} and {candidate.shape}"
        return Comparison(Verdict.FAIL, reference.shape, noise=noise, reason=reason)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        difference = np.abs(candidate.astype(np.float64) - reference.astype(np.float64))
    same = (reference == candidate) | (np.isnan(reference) & np.isnan(candidate))
    difference = np.where(same, 0.0, difference)
    scale = float(np.max(np.abs(reference), initial=0.0))
    return Comparison(
        verdict=_verdict(reference, candidate, difference, scale, noise),
        shape=reference.shape,
        max_abs=float(np.max(difference, initial=0.0)),
        mean_abs=float(np.mean(difference)) if difference.size else 0.0,
        max_ulp=_max_ulp(reference, candidate),
        scale=scale,
        noise=noise,
        worst=_worst(reference, candidate, difference),
    )


def tolerance(noise: float) -> float:
    """Largest difference that still counts as noise."""
    return max(FLOOR, NOISE_FACTOR * noise)


def _verdict(
    reference: Array, candidate: Array, difference: Array, scale: float, noise: float | None
) -> Verdict:
    if not np.isfinite(reference).all() or not np.isfinite(candidate).all():
        return Verdict.FAIL
    if reference.dtype == candidate.dtype and reference.tobytes() == candidate.tobytes():
        return Verdict.BIT_EXACT
    if np.issubdtype(reference.dtype, np.integer):
        return Verdict.FAIL if difference.any() else Verdict.BIT_EXACT
    if noise is None or not np.max(difference, initial=0.0) <= tolerance(noise):
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if noise > MAX_RELATIVE_NOISE * max(scale, FLOOR) else Verdict.WITHIN_NOISE


def _max_ulp(reference: Array, candidate: Array) -> int | None:
    """Distance on the line of all floats: neighbouring floats are neighbouring integers, sign included."""
    if reference.dtype != candidate.dtype or reference.dtype not in (np.float32, np.float64):
        return None
    one, other = _ordered(reference), _ordered(candidate)
    return int((np.maximum(one, other) - np.minimum(one, other)).max(initial=0))


def _ordered(array: Array) -> Array:
    """Give each float its place on that line, as an unsigned integer; negative ones count down."""
    sign = np.uint64(1 << (8 * array.itemsize - 1))
    bits: Array = np.atleast_1d(array).view(f"u{array.itemsize}").astype(np.uint64)
    return np.where(bits >= sign, sign - (bits - sign), sign + bits)


def _worst(reference: Array, candidate: Array, difference: Array) -> Worst | None:
    if not difference.any():
        return None
    index = np.unravel_index(int(np.argmax(np.nan_to_num(difference, nan=np.inf))), difference.shape)
    numbers: list[Any] = [reference[index].item(), candidate[index].item()]
    return Worst(tuple(int(i) for i in index), *(float(number) for number in numbers))
