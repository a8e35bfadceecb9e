"""The numbers of a report: JSON has none for infinity and NaN, so those are texts."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def number(value: Any) -> float:
    """Read a number: JSON's own, or one of the texts "inf", "-inf" and "nan"."""
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return math.inf if value > 0 else -math.inf


def maybe(value: Any) -> float | None:
    """Read a number where there may be none."""
    return None if value is None else number(value)


def strict(value: Any) -> Any:
    """Give a value as JSON values, with infinity and NaN as texts, however deep they are."""
    try:  # there are none, most times, and `json` finds that out ten times as fast
        return json.loads(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError):
        return _written(value)


def _written(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if kind in _AS_THEY_ARE:
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in value.items()}
    return [_written(item) for item in value] if isinstance(value, list | tuple) else value


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def size_text(value: Any) -> str:
    """Show how large a difference is: plainly from 0.001 to a million, else as 9.6e-7; nothing for none."""
    size = maybe(value)
    if size is None:
        return ""
    if size == 0:
        return "0"
    if 99.5 <= abs(size) < 999_999.5:
        return f"{size:,.0f}"
    return _short(f"{size:.2g}" if 0.00095 <= abs(size) < 99.5 else f"{size:.1e}")


def count_text(value: Any) -> str:
    """Show a count, with commas; nothing where there is none."""
    return "" if value is None else f"{int(value):,}"


def exact_text(value: Any) -> str:
    """Show a number so that another float32 would be shown otherwise."""
    exact = maybe(value)
    return "" if exact is None else _short(f"{exact:.9g}")


def percent_text(share: Any) -> str:
    """Show a share as a percentage, to two digits."""
    return f"{100 * number(share):.2g} %"


def _short(text: str) -> str:
    """Drop what says nothing: 1e-7 for 1.0e-07."""
    return re.sub(r"e([+-])0+(\d)", r"e\1\2", text).replace("e+", "e").replace(".0e", "e")
