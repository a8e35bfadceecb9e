"""JSON forms of Gymnasium spaces, as `PPOConfig.observation_space` and `PPOConfig.action_space` hold them.

    {"type": "Box", "shape": [3], "dtype": "float32", "low": -1.0, "high": [1.0, 1.0, 8.0]}
    {"type": "Discrete", "n": 2, "start": 0}

A bound is one number when all its elements are equal, else a list nested like the shape. It may be infinite.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

SpaceJSON = dict[str, Any]


def space_from_json(form: Mapping[str, Any], where: str = "space") -> spaces.Space[Any]:
    """Build the Gymnasium space that a JSON form describes.

    Args:
        form: The JSON form; see the module's docstring.
        where: Name of the field that holds it, for error messages.

    Returns:
        A `gymnasium.spaces.Box` or `gymnasium.spaces.Discrete`.

    Raises:
        ValueError: The type is not supported, or a field is missing or wrong.
    """
    builder = _FROM_JSON.get(form.get("type", ""))
    if builder is None:
        raise ValueError(
            f"{where} has type {form.get('type')!r}, but the supported types are {', '.join(_FROM_JSON)}."
        )
    try:
        return builder(form)
    except (KeyError, TypeError, ValueError, OverflowError, AssertionError) as error:
        raise ValueError(f"{where} is not a valid {form['type']} space ({error!r}): {dict(form)}.") from error


def space_to_json(space: spaces.Space[Any]) -> SpaceJSON:
    """Describe a Gymnasium space as JSON, the inverse of `space_from_json`.

    Args:
        space: A `Box` or a `Discrete`.

    Returns:
        Plain Python values only.

    Raises:
        ValueError: The space is of another type.
    """
    if isinstance(space, spaces.Box):
        bounds = {"low": _bound_to_json(space.low), "high": _bound_to_json(space.high)}
        return {"type": "Box", "shape": list(space.shape), "dtype": np.dtype(space.dtype).name, **bounds}
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    raise ValueError(f"{space} cannot be described: the supported spaces are {', '.join(_FROM_JSON)}.")


def unbounded_box(shape: tuple[int, ...]) -> SpaceJSON:
    """JSON form of a float32 Box without bounds, for features of which only the shape is known."""
    return space_to_json(spaces.Box(-np.inf, np.inf, shape, np.float32))


def is_image(space: spaces.Space[Any]) -> bool:
    """Whether SB3 takes this space for an image: uint8, three dimensions, all bounds 0 and 255."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    return bool(np.all(space.low == 0) and np.all(space.high == 255))


def _bound_to_json(bound: NDArray[Any]) -> Any:
    uniform = bound.size > 0 and bool(np.all(bound == bound.flat[0]))
    return bound.flat[0].item() if uniform else bound.tolist()


def _box_from_json(form: Mapping[str, Any]) -> spaces.Box:
    shape, dtype = tuple(form["shape"]), np.dtype(form["dtype"])
    low, high = (np.broadcast_to(np.asarray(form[side], dtype), shape) for side in ("low", "high"))
    return spaces.Box(low, high, shape, dtype.type)


def _discrete_from_json(form: Mapping[str, Any]) -> spaces.Discrete:
    return spaces.Discrete(form["n"], start=form.get("start", 0))


_FROM_JSON: dict[str, Callable[[Mapping[str, Any]], spaces.Space[Any]]] = {
    "Box": _box_from_json,
    "Discrete": _discrete_from_json,
}
