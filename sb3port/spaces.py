"""Observation and action spaces as plain values: no Gymnasium, no torch.

The fields are those of `gymnasium.spaces`, and the JSON form is the one that a port's `config.json` holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sb3port.errors import NotPortable


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
        return f"Box({_range(self.low)}, {_range(self.high)}, {self.shape}, {self.dtype})"

    @property
    def size(self) -> int:
        """Number of elements, the length of the flattened vector."""
        return int(np.prod(self.shape))

    @property
    def is_image(self) -> bool:
        """Whether SB3 takes it for an image: three dimensions of bytes with all of their range."""
        bounds = self.size > 0 and bool((self.low == 0).all() and (self.high == 255).all())
        return len(self.shape) == 3 and self.dtype == "uint8" and bounds

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

    def to_json(self) -> dict[str, Any]:
        """Give the form that `config.json` holds."""
        return {"type": "Discrete", "n": self.n, "start": self.start}


type Space = Box | Discrete


def space_from_json(data: Mapping[str, Any]) -> Space:
    """Read a space from its JSON form.

    Raises:
        NotPortable: The form is not one that `to_json` gives.
    """
    try:
        space: Space = _READERS[data["type"]](data)
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise NotPortable(f"not a space that sb3port can read: {str(data)[:200]} ({error!r})") from error
    return space


def _box_from_json(data: Mapping[str, Any]) -> Box:
    shape, dtype = tuple(int(length) for length in data["shape"]), np.dtype(data["dtype"])
    low, high = (np.broadcast_to(np.array(data[key], dtype), shape).copy() for key in ("low", "high"))
    return Box(shape, dtype.name, low, high)


def _discrete_from_json(data: Mapping[str, Any]) -> Discrete:
    return Discrete(int(data["n"]), int(data["start"]))


_READERS: dict[str, Callable[[Mapping[str, Any]], Space]] = {
    "Box": _box_from_json,
    "Discrete": _discrete_from_json,
}


def _is_uniform(bound: NDArray[Any]) -> bool:
    return bound.size > 0 and bool((bound == bound.flat[0]).all())


def _bound_to_json(bound: NDArray[Any]) -> Any:
    return bound.flat[0].item() if _is_uniform(bound) else bound.tolist()


def _range(bound: NDArray[Any]) -> str:
    if _is_uniform(bound):
        return f"{bound.flat[0]:g}"
    return " ".join(str(bound).split()) if bound.size <= 8 else f"{bound.min():g}..{bound.max():g}"
