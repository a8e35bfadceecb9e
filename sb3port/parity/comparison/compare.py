"""Comparing arrays, whole or row block by row block: how far apart, where, and what that means.

No input or output here. `compare` is for two arrays; `Accumulator` for what does not fit into memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.parity.comparison.distances import (
    BINS,
    DECADES,
    PER_DECADE,
    binned,
    differences,
    max_relative,
    max_ulp,
)
from sb3port.parity.comparison.verdicts import DEFAULT, Tolerance, Verdict

MAX_PAIRS = 128

# The first numbers of an observation by the keys of a Dict, "" for any other space.
Observation: TypeAlias = Mapping[str, list[float]]
Observe: TypeAlias = Callable[[int], Observation]


@dataclass(frozen=True)
class Worst:
    """The number with the largest difference.

    Args:
        index: Where it is; the row comes first.
        reference: What was expected.
        candidate: What was given.
        observation: What it was computed from.
    """

    index: tuple[int, ...]
    reference: float
    candidate: float
    observation: Observation = field(default_factory=dict)


@dataclass(frozen=True)
class Histogram:
    """Absolute differences by magnitude.

    Args:
        zero: How many numbers are the same.
        counts: How many differ, in bins of half a power of ten from 1e-12 to 1e2; what is beyond is in the
            bins at the ends.
    """

    zero: int
    counts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the histogram as JSON values."""
        bins = {"decades": list(DECADES), "per_decade": PER_DECADE}
        return {**bins, "zero": self.zero, "counts": list(self.counts)}


@dataclass(frozen=True)
class Comparison:
    """The outcome of comparing a candidate with a reference.

    Args:
        verdict: What the numbers mean.
        reason: A sentence where the numbers do not say it all, else empty.
        shape: Of the reference.
        max_abs: Largest absolute difference (NaN where one side is NaN and the other is not).
        mean_abs: Mean absolute difference.
        max_rel: Largest difference in units of the reference.
        max_ulp: Largest distance in units in the last place, None for integers or different types.
        scale: Largest absolute value of the reference.
        noise: The oracle's own noise, None where it was not asked.
        limit: The largest difference that passes, None where no numbers were compared.
        worst: Where the difference is largest, None where there is none.
        histogram: Of the differences, None where none were computed.
        pairs: Reference and candidate for some numbers, evenly spaced over the rows.
    """

    verdict: Verdict
    reason: str = ""
    shape: tuple[int, ...] = ()
    max_abs: float = 0.0
    mean_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: int | None = None
    scale: float = 0.0
    noise: float | None = None
    limit: float | None = None
    worst: Worst | None = None
    histogram: Histogram | None = None
    pairs: tuple[tuple[float, float], ...] = ()

    @property
    def count(self) -> int:
        """How many rows were compared."""
        return self.shape[0] if self.shape else 0

    @property
    def times_noise(self) -> float | None:
        """The largest difference in units of the oracle's noise, None where there is no such unit."""
        return self.max_abs / self.noise if self.noise else None

    def to_json(self) -> dict[str, Any]:
        """Give the comparison as JSON values."""
        fields = {name: value for name, value in vars(self).items() if name != "scale"}
        return {
            **fields,
            "verdict": str(self.verdict),
            "count": self.count,
            "shape": list(self.shape),
            "times_noise": self.times_noise,
            "worst": _worst_json(self.worst),
            "histogram": self.histogram.to_json() if self.histogram else None,
            "pairs": [list(pair) for pair in self.pairs],
        }


def compare(
    reference: Array,
    candidate: Array,
    noise: float | None = None,
    tolerance: Tolerance = DEFAULT,
    observe: Observe | None = None,
) -> Comparison:
    """Compare a candidate with a reference, number by number.

    Args:
        reference: What the oracle gave, or what was recorded.
        candidate: What is judged, of the same shape.
        noise: The oracle's largest float32-against-float64 difference on the same observations. Without it
            nothing but bit-exact passes.
        tolerance: How far apart numbers may be.
        observe: Gives what a row was computed from.
    """
    accumulator = Accumulator(len(reference) if reference.ndim else 1)
    accumulator.add(reference, candidate, noise, observe)
    return replace(accumulator.result(tolerance), shape=reference.shape)


class Accumulator:
    """Compares block after block of rows, and keeps only what the outcome needs.

    Args:
        total: How many rows there will be, at most; decides how far apart the kept pairs are.
    """

    def __init__(self, total: int) -> None:
        self._spacing = max(1, -(-total // MAX_PAIRS))
        self._rows, self._size = 0, 0
        self._row_shape: tuple[int, ...] = ()
        self._same_bits, self._finite, self._whole, self._reason = True, True, True, ""
        self._max_abs, self._sum, self._max_rel, self._scale = 0.0, 0.0, 0.0, 0.0
        self._ulp: int | None = 0
        self._noise: float | None = None
        self._worst: Worst | None = None
        self._counts = np.zeros(BINS, np.int64)
        self._pairs: list[tuple[float, float]] = []

    def add(
        self,
        reference: Array,
        candidate: Array,
        noise: float | None = None,
        observe: Observe | None = None,
    ) -> None:
        """Compare the next rows; the arguments are those of `compare`."""
        if reference.shape != candidate.shape:
            self._reason = f"the shapes differ: {reference.shape} and {candidate.shape}"
            self._row_shape = reference.shape[1:]
            return
        reference, candidate = (np.atleast_1d(array) for array in (reference, candidate))
        self._row_shape = reference.shape[1:]
        if noise is not None:
            self._noise = max(noise, self._noise or 0.0)
        self._keep_pairs(reference, candidate)
        self._measure(reference, candidate, observe)
        self._rows, self._size = self._rows + len(reference), self._size + reference.size

    def result(self, tolerance: Tolerance = DEFAULT) -> Comparison:
        """Judge all rows that were added."""
        return Comparison(
            verdict=self._verdict(tolerance),
            reason=self._reason or ("" if self._finite else "there are NaN or infinite numbers"),
            shape=(self._rows, *self._row_shape),
            max_abs=self._max_abs,
            mean_abs=self._sum / self._size if self._size else 0.0,
            max_rel=self._max_rel,
            max_ulp=self._ulp,
            scale=self._scale,
            noise=self._noise,
            limit=0.0 if self._whole else tolerance.allowed(self._noise),
            worst=self._worst,
            histogram=Histogram(self._size - int(self._counts.sum()), tuple(self._counts.tolist())),
            pairs=tuple(self._pairs),
        )

    def _verdict(self, tolerance: Tolerance) -> Verdict:
        if self._reason or not self._finite:
            return Verdict.FAIL
        if self._same_bits:
            return Verdict.BIT_EXACT
        if self._whole:  # choices are the same, or they are not
            return Verdict.FAIL if self._max_abs else Verdict.BIT_EXACT
        return tolerance.judge(self._max_abs, self._noise, self._scale)

    def _measure(self, reference: Array, candidate: Array, observe: Observe | None) -> None:
        finite = np.isfinite(reference).all() and np.isfinite(candidate).all()
        self._finite = self._finite and bool(finite)
        self._scale = max(self._scale, float(np.max(np.abs(reference), initial=0)))
        self._whole = self._whole and np.issubdtype(reference.dtype, np.integer)
        if not np.issubdtype(reference.dtype, np.floating) or reference.dtype != candidate.dtype:
            self._ulp = None
        if not _has_same_bits(reference, candidate):
            self._same_bits = False
            self._measure_difference(reference, candidate, observe)

    def _measure_difference(self, reference: Array, candidate: Array, observe: Observe | None) -> None:
        difference = differences(reference, candidate)
        self._keep_worst(reference, candidate, difference, observe)
        self._max_abs = float(np.maximum(self._max_abs, np.max(difference, initial=0.0)))
        self._sum += float(difference.sum())
        self._max_rel = max(self._max_rel, max_relative(difference, reference))
        self._counts += binned(difference)
        ulp = max_ulp(reference, candidate)
        self._ulp = None if ulp is None or self._ulp is None else max(self._ulp, ulp)

    def _keep_worst(
        self, reference: Array, candidate: Array, difference: Array, observe: Observe | None
    ) -> None:
        found = np.nan_to_num(difference, nan=np.inf)
        index = np.unravel_index(int(np.argmax(found)), found.shape) if found.size else None
        if index is None or not found[index] > np.nan_to_num(self._max_abs, nan=np.inf):
            return
        row, *rest = (int(i) for i in index)
        observation = observe(row) if observe else {}
        numbers = float(reference[index]), float(candidate[index])
        self._worst = Worst((self._rows + row, *rest), *numbers, observation)

    def _keep_pairs(self, reference: Array, candidate: Array) -> None:
        """Keep a number of every so-manieth row, another one of it each time."""
        first, left = -self._rows % self._spacing, MAX_PAIRS - len(self._pairs)
        kept = [array[first :: self._spacing][:left] for array in (reference, candidate)]
        size = math.prod(reference.shape[1:])
        if size and len(kept[0]):
            rows = np.arange(len(kept[0]))
            places = rows, (len(self._pairs) + rows) % size
            numbers = [array.reshape(-1, size)[places].astype(np.float64).tolist() for array in kept]
            self._pairs += zip(*numbers, strict=True)


def _has_same_bits(reference: Array, candidate: Array) -> bool:
    if reference.dtype != candidate.dtype:
        return False
    bits = f"u{reference.itemsize}"
    one, other = (np.ascontiguousarray(array).view(bits) for array in (reference, candidate))
    return np.array_equal(one, other)


def _worst_json(worst: Worst | None) -> dict[str, Any] | None:
    if worst is None:
        return None
    return {**vars(worst), "index": list(worst.index), "observation": dict(worst.observation)}
