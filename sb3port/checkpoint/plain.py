"""Which plain values every writer can write and every reader reads: checked by both, so that they agree."""

import math
from collections.abc import Mapping
from typing import Any

MAX_INTEGER = 2**1000
"""Below this is every whole number that a setting can have: it must be one that a float can hold, too."""
_MAX_DEPTH = 12


def is_setting(value: Any) -> bool:
    """Whether it is None, a flag or a number: what hyperparameters are. Infinity is one, as a bound."""
    if isinstance(value, int):
        return abs(value) < MAX_INTEGER
    return value is None or (isinstance(value, float) and not math.isnan(value))


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether it is a setting or a text, or lists, tuples and dictionaries with text keys of those."""
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item, depth + 1) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(is_plain(item, depth + 1) for item in value)
    return isinstance(value, str) or is_setting(value)
