"""Gym and Gymnasium spaces inside a pickle, read as our own space values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, frozen
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, Space
from sb3port.errors import NotPortable
from sb3port.readers.formats.arrays import FROMBUFFER, RECONSTRUCT, as_array, as_dtype, as_integer, as_type
from sb3port.readers.formats.records import Global, Record

_MODULES = ("gym.spaces.", "gymnasium.spaces.")
_MAX_KEYS = 1000


def read_space(value: Any, where: str) -> Space:
    """Read a pickled space.

    Args:
        value: What the symbolic pickle reader gave.
        where: What to call it in an error message.

    Raises:
        NotPortable: It is not a space, or one that is not supported; the message names it.
    """
    return _read_dict(value.attributes, where) if space_name(value) == "Dict" else _read_simple(value, where)


def _read_simple(value: Any, where: str) -> Simple:
    kind = space_name(value)
    if kind is None:
        raise NotPortable(f"{where} is not a Gym or Gymnasium space")
    if kind not in _READERS:
        supported = ", ".join(_READERS)
        raise NotPortable(
            f"{where} is a {kind[:200]} space, which is not supported",
            f"supported: {supported}, and a Dict of these for observations",
        )
    return _READERS[kind](value.attributes, where)


def space_name(value: Any) -> str | None:
    """Give the class name of a pickled space ("Box"), None where the value is no space."""
    target = value.target if isinstance(value, Record) else None
    is_space = isinstance(target, Global) and f"{target.module}.".startswith(_MODULES)
    return target.name if is_space and isinstance(target, Global) else None


def _read_box(attributes: dict[str, Any], where: str) -> Box:
    dtype = as_dtype(attributes.get("dtype"))
    low, high = (as_type(as_array(attributes.get(key)), dtype) for key in ("low", "high"))
    shape = attributes.get("_shape", attributes.get("shape"))
    if (shape or ()) != low.shape or low.shape != high.shape:
        raise NotPortable(
            f"{where} is damaged: its bounds {low.shape} and {high.shape} do not fit the Box's shape"
        )
    if np.isnan(low).any() or np.isnan(high).any():
        raise NotPortable(f"{where} is damaged: the bounds of its Box hold NaN")
    return Box(low.shape, dtype.name, low, high)


def _read_discrete(attributes: dict[str, Any], where: str) -> Discrete:
    n, start = (as_integer(attributes.get(key, 0)) for key in ("n", "start"))
    if n < 1:
        raise NotPortable(f"{where} is damaged: a Discrete space of {n} values")
    return Discrete(n, start)


def _read_multi_discrete(attributes: dict[str, Any], where: str) -> MultiDiscrete:
    """`start` came with Gymnasium 0.29; before, all elements began at 0."""
    nvec = _integers(attributes.get("nvec"), where)
    start = _integers(attributes["start"], where) if "start" in attributes else np.zeros_like(nvec)
    if not nvec.size or nvec.shape != start.shape or (nvec < 1).any():
        raise NotPortable(f"{where} is damaged: its MultiDiscrete has no proper numbers of values")
    return MultiDiscrete(frozen(nvec), frozen(start))


def _read_multi_binary(attributes: dict[str, Any], where: str) -> MultiBinary:
    """`n` is a number for a vector, else a tuple or an array."""
    n = attributes.get("n")
    if isinstance(n, Record) and n.calls(*RECONSTRUCT, *FROMBUFFER):
        n = _integers(n, where).tolist()
    shape = tuple(as_integer(length) for length in (n if isinstance(n, list | tuple) else (n,)))
    if not shape or len(shape) > 32 or min(shape) < 1:
        raise NotPortable(f"{where} is damaged: its MultiBinary has no proper shape")
    return MultiBinary(shape)


def _read_dict(attributes: dict[str, Any], where: str) -> Dict:
    """Its order is the order of concatenation: gym keeps an OrderedDict, Gymnasium since 1.0 a dict."""
    value = attributes.get("spaces")
    pairs = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, Record) and value.calls("collections.OrderedDict"):
        pairs = value.pairs
    if not pairs or len(pairs) > _MAX_KEYS or not all(isinstance(key, str) for key, _ in pairs):
        raise NotPortable(f"{where} is damaged: its Dict has no spaces by name")
    # One space may stand under many keys, and reading it anew each time could take long.
    read: dict[int, Simple] = {}
    for key, space in pairs:
        if id(space) not in read:
            read[id(space)] = _read_simple(space, f"{where}[{key[:200]!r}]")
    return Dict({key: read[id(space)] for key, space in pairs})


def _integers(value: Any, where: str) -> Array:
    array = as_array(value)
    if array.dtype.kind not in "iu" or (array.size and array.max() > np.iinfo(np.int32).max):
        raise NotPortable(f"{where} is damaged: whole numbers were expected, not {array.dtype}")
    return array.astype(np.int64)


_READERS: dict[str, Callable[[dict[str, Any], str], Simple]] = {
    "Box": _read_box,
    "Discrete": _read_discrete,
    "MultiDiscrete": _read_multi_discrete,
    "MultiBinary": _read_multi_binary,
}
