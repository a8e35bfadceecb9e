"""Gym and Gymnasium spaces inside a pickle, read as our own space values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, frozen
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, Space
from sb3port.errors import NotPortable
from sb3port.readers.formats.arrays import FROMBUFFER, RECONSTRUCT, as_array, as_dtype, as_integer, as_type
from sb3port.readers.formats.calls import class_name, is_class_in_file
from sb3port.readers.formats.records import Global, Record, describe

_MODULES = ("gym.spaces.", "gymnasium.spaces.")
_MAX_KEYS = 1000
_MAX_BASES = 20
# The attributes by which the state of each class is known.
_STATES = {
    "Box": {"low", "high", "dtype"},
    "Discrete": {"n"},
    "MultiDiscrete": {"nvec"},
    "Dict": {"spaces"},
}


def read_space(value: Any, where: str) -> Space:
    """Read a pickled space.

    Args:
        value: What the symbolic pickle reader gave.
        where: What to call it in an error message.

    Raises:
        NotPortable: It is not a space, or one that is not supported; the message names it.
    """
    is_dict = space_name(value, where) == "Dict"
    return _read_dict(value.attributes, where) if is_dict else _read_simple(value, where)


def own_classes(value: Any, where: str) -> list[str]:
    """Name the classes of the author's own in a space that has been read, in sentences on what is assumed."""
    attributes = value.attributes
    found = [] if _named(value) else [(where, value)]
    if space_name(value, where) == "Dict":
        inner = {id(space): (f"{where}[{key[:200]!r}]", space) for key, space in _pairs(attributes)}
        found += [(place, space) for place, space in inner.values() if not _named(space)]
    return [
        f"{place} is of the class {_class_name(space)}, which is not Gymnasium's: it is taken for the "
        f"{space_name(space, place)} whose state it has"
        for place, space in found
    ]


def _read_simple(value: Any, where: str) -> Simple:
    kind = space_name(value, where)
    if kind is None:
        raise NotPortable(f"{where} is not a Gym or Gymnasium space")
    if kind not in _READERS:
        supported = ", ".join(_READERS)
        raise NotPortable(
            f"{where} is a {kind[:200]} space, which is not supported",
            f"supported: {supported}, and a Dict of these for observations",
        )
    return _READERS[kind](value.attributes, where)


def space_name(value: Any, where: str) -> str | None:
    """Give the class of a pickled space ("Box"), None where the value is no space.

    A class of the author's own is that of Gymnasium's of which it has the state, or from which it derives.

    Raises:
        NotPortable: An object of a class of the author's own has the state of several.
    """
    if not isinstance(value, Record):
        return None
    return _named(value) or _base_of(value.target) or _by_state(value, where)


def _named(value: Record) -> str | None:
    return _gymnasium_s(value.target)


def _gymnasium_s(cls: Any) -> str | None:
    is_space = isinstance(cls, Global) and f"{cls.module}.".startswith(_MODULES)
    return cls.name if is_space and isinstance(cls, Global) else None


def _base_of(cls: Any) -> str | None:
    """Find Gymnasium's class from which one derives whose code the file carries."""
    for _ in range(_MAX_BASES):
        if not (isinstance(cls, Record) and is_class_in_file(cls.target, cls.args)):
            return None
        bases = next((arg for arg in cls.args if isinstance(arg, tuple) and arg), (None,))
        if found := next(filter(None, map(_gymnasium_s, bases)), None):
            return found
        cls = next((base for base in bases if isinstance(base, Record)), None)
    return None


def _by_state(value: Record, where: str) -> str | None:
    """Tell by the attributes of which class's state an object has; None where of none."""
    state = value.attributes
    found = [name for name, needed in _STATES.items() if needed <= state.keys()]
    if found == ["Discrete"]:
        shape = state.get("_shape", state.get("shape"))
        # MultiBinary has `n`, too: the length of its vectors, or their shape.
        found = ["Discrete"] if shape in ((), None) and "start" in state else []
        found += ["MultiBinary"] if shape not in ((), None) else []
    if len(found) > 1:
        raise NotPortable(
            f"{where} is of the class {_class_name(value)}, and its state fits {' and '.join(found)} alike",
            "save the model with Gymnasium's own class for the space",
        )
    return found[0] if found else None


def _class_name(value: Record) -> str:
    """Name the class of an object, by its module or as the code that the file carries."""
    cls = value.target
    in_file = isinstance(cls, Record) and is_class_in_file(cls.target, cls.args)
    return f"{class_name(cls.args)} (in the file, as code)" if in_file else describe(cls)


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
    pairs = _pairs(attributes)
    if not pairs or len(pairs) > _MAX_KEYS or not all(isinstance(key, str) for key, _ in pairs):
        raise NotPortable(f"{where} is damaged: its Dict has no spaces by name")
    # One space may stand under many keys, and reading it anew each time could take long.
    read: dict[int, Simple] = {}
    for key, space in pairs:
        if id(space) not in read:
            read[id(space)] = _read_simple(space, f"{where}[{key[:200]!r}]")
    return Dict({key: read[id(space)] for key, space in pairs})


def _pairs(attributes: dict[str, Any]) -> list[tuple[Any, Any]]:
    value = attributes.get("spaces")
    if isinstance(value, Record) and value.calls("collections.OrderedDict"):
        return value.pairs
    return list(value.items()) if isinstance(value, dict) else []


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
