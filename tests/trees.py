"""Every value in a tree of JSON values, and the tree with another one in its place."""

import copy
from collections.abc import Iterator
from typing import Any

ABSENT = object()
"""Instead of a value: its key is gone."""


def places(value: Any, most: int | None = None, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the place of every value; of lists, of the first so many."""
    yield above
    inside = value if isinstance(value, dict) else range(len(value))[:most] if isinstance(value, list) else ()
    for key in inside:
        yield from places(value[key], most, (*above, key))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Give the tree with another value in a place."""
    if not place:
        return new
    made = copy.deepcopy(value)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    if new is ABSENT:
        del inner[place[-1]]
    else:
        inner[place[-1]] = new
    return made
