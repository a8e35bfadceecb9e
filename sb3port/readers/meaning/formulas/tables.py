"""Formulas in zips that sb3port wrote for SB3: functions of NumPy's with their arguments, and a text.

See `exports/sb3_schedules.py`. The text is believed only where it gives what SB3 would get.
"""

import ast
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sb3port.checkpoint.expressions import parse_expression, value_at

_MAX_POINTS = 20_000
_NEAR = 1e-6
_BETWEEN = 1001


def told_formula(
    function: str, args: tuple[Any, ...], namespace: Any, kwargs: Mapping[str, Any]
) -> ast.expr | None:
    """Give the formula of a `functools.partial` of `np.polyval` or `np.interp`, None where none is told.

    Args:
        function: Its name.
        args: The arguments that the partial holds.
        namespace: The attributes of the partial.
        kwargs: Its arguments by name.
    """
    text = namespace.get("expression") if isinstance(namespace, dict) else None
    match function, args, dict(kwargs):
        case ("np.polyval", (coefficients,), {}) if _are_numbers(coefficients):
            points = np.linspace(0.0, 1.0, _BETWEEN)
            values = np.polyval(coefficients, points)
        case ("np.interp", (), {"xp": xp, "fp": fp}) if _are_numbers(xp) and _are_numbers(fp):
            if len(xp) != len(fp):
                return None
            points = np.concatenate([xp, np.linspace(0.0, 1.0, _BETWEEN)])
            values = np.interp(points, xp, fp)
        case _:
            return None
    return _confirmed(text, points, values) if isinstance(text, str) else None


def _confirmed(text: str, points: Any, values: Any) -> ast.expr | None:
    """Give the formula if it has these values."""
    try:
        node = parse_expression(text)
    except ValueError:
        return None
    apart = [abs(value_at(node, float(point)) - value) for point, value in zip(points, values, strict=True)]
    return node if all(gap <= _NEAR * float(np.abs(values).max()) for gap in apart) else None


def _are_numbers(value: Any) -> bool:
    """Whether this is a list of finite numbers, and not a long one."""
    fits = isinstance(value, list) and 0 < len(value) <= _MAX_POINTS
    return fits and all(type(item) is float and math.isfinite(item) for item in value)
