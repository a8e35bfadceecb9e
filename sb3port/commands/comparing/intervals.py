"""Confidence intervals of means over few runs, by Student's t distribution.

Bootstrapping three or five runs gives intervals that are too narrow; those here hold where the means of runs
are near normal, and are wide where there are few.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Args:
        mean: Of the runs.
        half: Half the width of the interval; None for one run, which says nothing of others.
    """

    mean: float
    half: float | None


def mean_of(values: Sequence[float]) -> Interval:
    """Give the mean of some runs."""
    mean, count = statistics.fmean(values), len(values)
    if count < 2:
        return Interval(mean, None)
    error = statistics.stdev(values) / math.sqrt(count)
    return Interval(mean, error * t_quantile(count - 1))


def difference_of(ones: Sequence[float], others: Sequence[float]) -> Interval:
    """Give by how much the mean of some runs is above that of others: Welch's interval.

    Source: Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34 (1947).
    """
    mean = statistics.fmean(ones) - statistics.fmean(others)
    if min(len(ones), len(others)) < 2:
        return Interval(mean, None)
    parts = [statistics.variance(values) / len(values) for values in (ones, others)]
    total = sum(parts)
    below = sum(p**2 / (len(v) - 1) for p, v in zip(parts, (ones, others), strict=True))
    if below == 0:  # or too small to be another number
        return Interval(mean, 0.0)
    return Interval(mean, math.sqrt(total) * t_quantile(total**2 / below))


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """Give the t that so large a share of Student's distribution lies within, between -t and t."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < level:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: float) -> float:
    return 1 - _beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _beta(a: float, b: float, x: float) -> float:
    """Give the regularised incomplete beta function, by its continued fraction."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate it by Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d, c = 1 / (1 + step * d), 1 + step / c
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value
