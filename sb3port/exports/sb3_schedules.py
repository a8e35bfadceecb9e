"""Formulas as callables that SB3 can load anywhere: made of NumPy's own functions, and no code.

A function pickled with its code crashes another Python than the one that wrote it, or is dropped by SB3. So a
polynomial becomes `functools.partial(numpy.polyval, coefficients)`, equal but for the last bits, and
anything else `functools.partial(numpy.interp, xp=..., fp=...)`, a table that is dense where the formula bends
and where it jumps. The formula itself is an attribute, by which sb3port reads it back.
"""

import ast
import functools
import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.expressions import parse_expression, value_at
from sb3port.checkpoint.schedules import ExpressionSchedule
from sb3port.errors import UsageError

# SB3 asks from 1 down to 0, and a little below where the last rollout is not cut off.
_LOWEST, _HIGHEST = -0.25, 1.0
_BASE_POINTS = 1281  # every 1/1024
_MAX_POINTS = 8000
_BEND = 1e-7
_MAX_DEGREE = 8
_SAME = 1e-12
_PROBES = np.linspace(_LOWEST, _HIGHEST, 10_007)

Values: TypeAlias = NDArray[np.floating[Any]]
Sb3Formula: TypeAlias = functools.partial[Any]


def sb3_formula(schedule: ExpressionSchedule, name: str) -> Sb3Formula:
    """Give a callable of NumPy's for a formula.

    Raises:
        UsageError: The formula has no finite value at some time of a training.
    """
    made = _made(schedule)
    if made is None:
        option = name.replace("_", "-")
        raise UsageError(
            f"{name} is {schedule}, which has no finite value at some time and cannot be written",
            f"give it anew with --{option} NUMBER",
        )
    return made


def formula_warning(schedule: ExpressionSchedule, name: str) -> str:
    """Say how SB3 gets a formula, and how far that is from it."""
    made = sb3_formula(schedule, name)
    if made.func is np.polyval:
        how = "by the polynomial's coefficients, equal but for the last bits"
    else:
        apart = f"off by {_deviation(made, schedule):.0e} of its largest value at most"
        how = f"as a table of {len(made.keywords['xp']):,} points that NumPy interpolates, {apart}"
    return f"SB3 has no class for the {name} {schedule}: the zip gives it {how}"


@lru_cache(maxsize=16)
def _made(schedule: ExpressionSchedule) -> Sb3Formula | None:
    with np.errstate(all="ignore"):  # what is not finite is no polynomial to be used
        coefficients = _polynomial(parse_expression(schedule.expression))
    made: Sb3Formula | None = None
    if coefficients is not None:
        made = functools.partial(np.polyval, coefficients.tolist())
    if made is None or not _deviation(made, schedule) <= _SAME:
        made = _table(schedule)
    if made is not None:
        vars(made)["expression"] = schedule.expression
    return made


def _deviation(made: Callable[[Any], Any], schedule: ExpressionSchedule) -> float:
    """Give the largest difference, as a share of the largest value; infinity where one is not finite."""
    true, ours = np.array([schedule(p) for p in _PROBES]), np.asarray(made(_PROBES))
    inside = _PROBES >= 0
    finite = np.isfinite(true)
    if not finite[inside].all():
        return math.inf
    scale = float(np.abs(true[finite]).max()) or 1.0
    return float(np.abs(ours - true)[finite].max()) / scale


def _polynomial(node: ast.expr) -> Values | None:
    """Give the coefficients of a polynomial, the highest first; None for what is none."""
    match node:
        case ast.Name():
            return np.array([1.0, 0.0])
        case ast.Constant() | ast.Attribute():
            return np.array([value_at(node, 1.0)])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _polynomial(operand)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _polynomial(left), _polynomial(right)
            return None if a is None or b is None else _combined(a, op, b)
    return None


def _combined(a: Values, op: ast.operator, b: Values) -> Values | None:
    match op:
        case ast.Add():
            return np.polyadd(a, b)
        case ast.Sub():
            return np.polysub(a, b)
        case ast.Mult() if len(a) + len(b) - 2 <= _MAX_DEGREE:
            return _product([a, b])
        case ast.Div() if len(b) == 1 and b[0]:
            quotient: Values = a / b[0]
            return quotient
        case ast.Pow() if (
            len(b) == 1 and b[0] in range(_MAX_DEGREE + 1) and (len(a) - 1) * b[0] <= _MAX_DEGREE
        ):
            return _product([a] * int(b[0]))
    return None


def _product(factors: list[Values]) -> Values:
    product: Values = np.ones(1)
    for factor in factors:
        product = np.polymul(product, factor)
    return product


def _table(schedule: ExpressionSchedule) -> Sb3Formula | None:
    """Tabulate a formula; None where it has no finite value between 0 and 1."""
    points = {float(p): schedule(float(p)) for p in np.linspace(_LOWEST, _HIGHEST, _BASE_POINTS)}
    while points and not math.isfinite(next(iter(points.values()))) and next(iter(points)) < 0:
        del points[next(iter(points))]  # as a root has none below 0
    if not all(map(math.isfinite, points.values())):
        return None
    _refine(points, schedule)
    xp = sorted(points)
    return functools.partial(np.interp, xp=xp, fp=[points[x] for x in xp])


def _refine(points: dict[float, float], schedule: ExpressionSchedule) -> None:
    """Halve intervals in which the formula bends or jumps, as far down as numbers go."""
    bend = _BEND * max(map(abs, points.values()))
    ends = sorted(points)
    pending = list(pairwise(ends))
    while pending and len(points) < _MAX_POINTS:
        low, high = pending.pop()
        middle = (low + high) / 2
        value = schedule(middle)
        straight = (points[low] + points[high]) / 2
        if low < middle < high and math.isfinite(value) and abs(value - straight) > bend:
            points[middle] = value
            pending += [(low, middle), (middle, high)]
