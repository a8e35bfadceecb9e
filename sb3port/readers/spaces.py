"""Gym and Gymnasium spaces inside a pickle, read as our own space values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sb3port.checkpoint import frozen
from sb3port.errors import NotPortable
from sb3port.readers.arrays import as_array, as_dtype, as_integer
from sb3port.readers.records import Global, Record
from sb3port.spaces import Box, Discrete, Space

_MODULES = ("gym.spaces.", "gymnasium.spaces.")


def read_space(value: Any, where: str, supported: tuple[str, ...] = ("Box", "Discrete")) -> Space:
    """Read a pickled space.

    Args:
        value: What the symbolic pickle reader gave.
        where: What to call it in an error message.
        supported: The kinds of spaces that may stand there.

    Raises:
        NotPortable: It is not a space, or one that is not supported; the message names it.
    """
    kind = space_name(value)
    if kind is None:
        raise NotPortable(f"{where} is not a Gym or Gymnasium space")
    if kind not in supported:
        named = " and ".join(supported)
        raise NotPortable(f"{where} is a {kind} space, which is not supported", f"supported: {named}")
    return _READERS[kind](value.attributes, where)


def space_name(value: Any) -> str | None:
    """Give the class name of a pickled space ("Box"), None where the value is no space."""
    target = value.target if isinstance(value, Record) else None
    is_space = isinstance(target, Global) and f"{target.module}.".startswith(_MODULES)
    return target.name if is_space and isinstance(target, Global) else None


def _read_box(attributes: dict[str, Any], where: str) -> Box:
    dtype = as_dtype(attributes.get("dtype"))
    low, high = (as_array(attributes.get(key)).astype(dtype) for key in ("low", "high"))
    shape = attributes.get("_shape", attributes.get("shape"))
    if (shape or ()) != low.shape or low.shape != high.shape:
        raise NotPortable(
            f"{where} is damaged: its bounds {low.shape} and {high.shape} do not fit the Box's shape"
        )
    if np.isnan(low).any() or np.isnan(high).any():
        raise NotPortable(f"{where} is damaged: the bounds of its Box hold NaN")
    return Box(low.shape, dtype.name, frozen(low), frozen(high))


def _read_discrete(attributes: dict[str, Any], where: str) -> Discrete:
    n, start = (as_integer(attributes.get(key, 0)) for key in ("n", "start"))
    if n < 1:
        raise NotPortable(f"{where} is damaged: a Discrete space of {n} values")
    return Discrete(n, start)


_READERS: dict[str, Callable[[dict[str, Any], str], Space]] = {"Box": _read_box, "Discrete": _read_discrete}
