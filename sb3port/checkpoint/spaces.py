"""Observation and action spaces as plain values: no Gymnasium, no torch.

The fields are those of `gymnasium.spaces`, and the JSON form is the one that a port's `config.json` holds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sb3port.errors import NotPortable

MAX_SIZE = 2**23
"""How many elements a space of a file may have: an image of eight million numbers."""


@dataclass(frozen=True, eq=False)
class Box:
    """`gymnasium.spaces.Box`: arrays of `shape`, each element within its own bounds.

    Args:
        low: Lower bounds, of `shape` and `dtype`; may be -inf.
        high: Upper bounds, of `shape` and `dtype`; may be inf.
    """

    shape: tuple[int, ...]
    dtype: str
    low: NDArray[Any]
    high: NDArray[Any]

    def __str__(self) -> str:
        """As Gymnasium writes it: bounds as one number where they are uniform, else as the range of them."""
        return self._text

    @cached_property
    def _text(self) -> str:
        return f"Box({_range(self.low)}, {_range(self.high)}, {self.shape}, {self.dtype})"

    @property
    def size(self) -> int:
        """Number of elements, the length of the flattened vector."""
        return int(np.prod(self.shape))

    @property
    def is_image(self) -> bool:
        """Whether SB3 takes it for an image: uint8, three dimensions, all bounds 0 and 255."""
        if self.dtype != "uint8" or len(self.shape) != 3:
            return False
        return bool((self.low == 0).all() and (self.high == 255).all())

    @property
    def channels_first(self) -> tuple[int, ...]:
        """The shape `(C, H, W)` of an image, whose smallest dimension SB3 takes for the channels."""
        first = int(np.argmin(self.shape)) == 0
        return self.shape if first else (self.shape[2], self.shape[0], self.shape[1])

    def flattened(self) -> "Box":
        """Give the space of the flattened vectors."""
        return Box((self.size,), self.dtype, self.low.reshape(-1), self.high.reshape(-1))

    def to_json(self) -> dict[str, Any]:
        """Give the form that `config.json` holds: a bound is one number where it is uniform."""
        bounds = {"low": _bound_to_json(self.low), "high": _bound_to_json(self.high)}
        return {"type": "Box", "shape": list(self.shape), "dtype": self.dtype, **bounds}


@dataclass(frozen=True)
class Discrete:
    """`gymnasium.spaces.Discrete`: `n` values, the first of which is `start`."""

    n: int
    start: int = 0

    def __str__(self) -> str:
        return f"Discrete({self.n})" if self.start == 0 else f"Discrete({self.n}, start={self.start})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value: a number."""
        return ()

    @property
    def size(self) -> int:
        """Numbers per value in a batch."""
        return 1

    def to_json(self) -> dict[str, Any]:
        """Give the form that `config.json` holds."""
        return {"type": "Discrete", "n": self.n, "start": self.start}


@dataclass(frozen=True, eq=False)
class MultiDiscrete:
    """`gymnasium.spaces.MultiDiscrete`: one Discrete per element.

    Args:
        nvec: How many values each element has, int64.
        start: The first value of each element, of the same shape.
    """

    nvec: NDArray[Any]
    start: NDArray[Any]

    def __str__(self) -> str:
        start = f", start={self.start.tolist()}" if self.start.any() else ""
        return f"MultiDiscrete({self.nvec.tolist()}{start})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value."""
        return self.nvec.shape

    @property
    def size(self) -> int:
        """Numbers per value in a batch."""
        return self.nvec.size

    def to_json(self) -> dict[str, Any]:
        """Give the form that `config.json` holds."""
        return {"type": "MultiDiscrete", "nvec": self.nvec.tolist(), "start": self.start.tolist()}


@dataclass(frozen=True)
class MultiBinary:
    """`gymnasium.spaces.MultiBinary`: arrays of zeros and ones."""

    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"MultiBinary({self.n})"

    @property
    def n(self) -> int | list[int]:
        """Gymnasium's `n`: a number for a vector, else the shape."""
        return self.shape[0] if len(self.shape) == 1 else list(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def to_json(self) -> dict[str, Any]:
        """Give the form that `config.json` holds."""
        return {"type": "MultiBinary", "n": self.n}


Simple: TypeAlias = Box | Discrete | MultiDiscrete | MultiBinary


@dataclass(frozen=True, eq=False)
class Dict:
    """`gymnasium.spaces.Dict` of simple spaces.

    Args:
        spaces: By key, in the order of the checkpoint, in which SB3 concatenates them.
    """

    spaces: Mapping[str, Simple]

    def __str__(self) -> str:
        return f"Dict({', '.join(f'{key}: {space}' for key, space in self.spaces.items())})"

    def to_json(self) -> dict[str, Any]:
        """Give the form that `config.json` holds."""
        return {"type": "Dict", "spaces": {key: space.to_json() for key, space in self.spaces.items()}}


Space: TypeAlias = Simple | Dict


def parts(space: Space) -> dict[str, Simple]:
    """Give the simple spaces that make a space: those of a Dict by key, any other under the key ""."""
    return dict(space.spaces) if isinstance(space, Dict) else {"": space}


def space_from_json(data: Mapping[str, Any], where: str = "the space") -> Space:
    """Read a space from its JSON form.

    Args:
        data: What `to_json` gave.
        where: How to call it in an error message.

    Raises:
        NotPortable: The form is not one that `to_json` gives.
    """
    kind = data.get("type") if isinstance(data, Mapping) else None
    if kind != "Dict":
        return _simple_from_json(data, kind, where, (*_READERS, "Dict"))
    parts = data.get("spaces")
    if not isinstance(parts, Mapping) or not parts:
        raise NotPortable(f"{where} is not a valid Dict space: there is nothing in it")
    spaces: dict[str, Simple] = {}
    for key, form in parts.items():
        spaces[str(key)] = _part_from_json(key, form)
        if sum(space.size for space in spaces.values()) > MAX_SIZE:
            raise NotPortable(f"{where} is not a valid Dict space: it has more than {MAX_SIZE:,} elements")
    return Dict(spaces)


def _part_from_json(key: str, form: Any) -> Simple:
    kind = form.get("type") if isinstance(form, Mapping) else None
    return _simple_from_json(form, kind, f"space {str(key)[:100]!r}", tuple(_READERS))


def _simple_from_json(data: Mapping[str, Any], kind: Any, where: str, supported: tuple[str, ...]) -> Simple:
    if not isinstance(kind, str) or kind not in _READERS:
        types = ", ".join(supported)
        raise NotPortable(f"{where} has type {str(kind)[:100]!r}, but the supported types are {types}")
    try:
        return _READERS[kind](data)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise NotPortable(f"{where} is not a valid {kind} space ({reason}): {str(data)[:200]}") from error


def _box_from_json(data: Mapping[str, Any]) -> Box:
    shape, dtype = tuple(int(length) for length in data["shape"]), np.dtype(data["dtype"])
    if math.prod(shape) > MAX_SIZE:
        raise ValueError(f"it has more than {MAX_SIZE:,} elements")
    with np.errstate(over="raise"):  # a bound beyond the dtype is not infinity
        low, high = (np.broadcast_to(np.array(data[key], dtype), shape).copy() for key in ("low", "high"))
    return Box(shape, dtype.name, low, high)


def _discrete_from_json(data: Mapping[str, Any]) -> Discrete:
    n = int(data["n"])
    if n < 1:
        raise ValueError("it has no values")
    return Discrete(n, int(data.get("start", 0)))


def _multi_discrete_from_json(data: Mapping[str, Any]) -> MultiDiscrete:
    nvec = np.array(data["nvec"], np.int64)
    start = np.array(data.get("start", np.zeros_like(nvec)), np.int64)
    if nvec.shape != start.shape:
        raise ValueError("nvec and start differ in shape")
    if not (nvec > 0).all():
        raise ValueError("an element has no values")
    return MultiDiscrete(nvec, start)


def _multi_binary_from_json(data: Mapping[str, Any]) -> MultiBinary:
    n = data["n"]
    return MultiBinary(tuple(int(length) for length in n) if isinstance(n, list) else (int(n),))


_READERS: dict[str, Callable[[Mapping[str, Any]], Simple]] = {
    "Box": _box_from_json,
    "Discrete": _discrete_from_json,
    "MultiDiscrete": _multi_discrete_from_json,
    "MultiBinary": _multi_binary_from_json,
}


def _is_uniform(bound: NDArray[Any]) -> bool:
    return bound.size > 0 and bool((bound == bound.flat[0]).all())


def _bound_to_json(bound: NDArray[Any]) -> Any:
    return bound.flat[0].item() if _is_uniform(bound) else bound.tolist()


def _range(bound: NDArray[Any]) -> str:
    if _is_uniform(bound):
        return f"{bound.flat[0]:g}"
    return " ".join(str(bound).split()) if bound.size <= 8 else f"{bound.min():g}..{bound.max():g}"
