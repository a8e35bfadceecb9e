"""JSON forms of Gymnasium spaces, as `PPOConfig.observation_space` and `PPOConfig.action_space` hold them.

    {"type": "Box", "shape": [3], "dtype": "float32", "low": -1.0, "high": [1.0, 1.0, 8.0]}
    {"type": "Discrete", "n": 2, "start": 0}
    {"type": "MultiDiscrete", "nvec": [3, 2], "start": [0, 0]}
    {"type": "MultiBinary", "n": 5}
    {"type": "Dict", "spaces": {"position": {...}, "camera": {...}}}

A bound is one number when all its elements are equal, else a list nested like the shape. It may be infinite.
`nvec` and `start` of a MultiDiscrete are nested like its shape; `n` of a MultiBinary is a number, or its
shape. The order of the keys of a Dict is part of the policy: features are concatenated in it. A new type is
one row in `_FROM_JSON` and one in `_TO_JSON`.
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
        A Box, Discrete, MultiDiscrete, MultiBinary or Dict of `gymnasium.spaces`.

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
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, AssertionError) as error:
        raise ValueError(f"{where} is not a valid {form['type']} space ({error!r}): {dict(form)}.") from error


def space_to_json(space: spaces.Space[Any]) -> SpaceJSON:
    """Describe a Gymnasium space as JSON, the inverse of `space_from_json`.

    Args:
        space: A space of one of the types that `space_from_json` gives.

    Returns:
        Plain Python values only.

    Raises:
        ValueError: The space is of another type.
    """
    for space_type, describe in _TO_JSON.items():
        if isinstance(space, space_type):
            return {"type": space_type.__name__, **describe(space)}
    raise ValueError(f"{space} cannot be described: the supported spaces are {', '.join(_FROM_JSON)}.")


def unbounded_box(shape: tuple[int, ...]) -> SpaceJSON:
    """JSON form of a float32 Box without bounds, for features of which only the shape is known."""
    return space_to_json(spaces.Box(-np.inf, np.inf, shape, np.float32))


def image_box(shape: tuple[int, ...]) -> SpaceJSON:
    """JSON form of an image, for features of which only the shape is known."""
    return space_to_json(spaces.Box(0, 255, shape, np.uint8))


def is_image(space: spaces.Space[Any]) -> bool:
    """Whether SB3 takes this space for an image: uint8, three dimensions, all bounds 0 and 255."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    return bool(np.all(space.low == 0) and np.all(space.high == 255))


def image_shape(space: spaces.Box) -> tuple[int, int, int]:
    """Shape of an image as networks see it, (C, H, W).

    As in SB3, the channels are the first dimension when none is smaller, and the last one otherwise.
    Source: `stable_baselines3.common.preprocessing.is_image_space_channels_first`, `VecTransposeImage`.
    """
    first, second, third = space.shape
    return (first, second, third) if first == min(space.shape) else (third, first, second)


def policy_space(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """The space of what a policy sees in SB3: images with their channels first."""
    if isinstance(space, spaces.Dict):
        return _dict({key: policy_space(part) for key, part in space.spaces.items()})
    if is_image(space):
        assert isinstance(space, spaces.Box)
        return spaces.Box(0, 255, image_shape(space), np.uint8)
    return space


def flat_size(space: spaces.Space[Any]) -> int:
    """Numbers per element of a space in a batch; a Discrete is one number."""
    return int(np.prod(space.shape or ()))


def _bound_to_json(bound: NDArray[Any]) -> Any:
    uniform = bound.size > 0 and bool(np.all(bound == bound.flat[0]))
    return bound.flat[0].item() if uniform else bound.tolist()


def _box_to_json(space: spaces.Box) -> SpaceJSON:
    bounds = {"low": _bound_to_json(space.low), "high": _bound_to_json(space.high)}
    return {"shape": list(space.shape), "dtype": np.dtype(space.dtype).name, **bounds}


def _box_from_json(form: Mapping[str, Any]) -> spaces.Box:
    shape, dtype = tuple(form["shape"]), np.dtype(form["dtype"])
    low, high = (np.broadcast_to(np.asarray(form[side], dtype), shape) for side in ("low", "high"))
    return spaces.Box(low, high, shape, dtype.type)


def _discrete_from_json(form: Mapping[str, Any]) -> spaces.Discrete:
    return spaces.Discrete(form["n"], start=form.get("start", 0))


def _multi_discrete_from_json(form: Mapping[str, Any]) -> spaces.MultiDiscrete:
    return spaces.MultiDiscrete(np.asarray(form["nvec"], np.int64), start=form.get("start"))


def _dict_from_json(form: Mapping[str, Any]) -> spaces.Dict:
    if not form["spaces"]:
        raise ValueError("there is nothing in it")
    return _dict({key: space_from_json(part, f"space {key!r}") for key, part in form["spaces"].items()})


def _dict(parts: dict[str, spaces.Space[Any]]) -> spaces.Dict:
    """Keep the order, which the constructor sorts in some versions of Gymnasium."""
    space = spaces.Dict()
    space.spaces = parts
    return space


_FROM_JSON: dict[str, Callable[[Mapping[str, Any]], spaces.Space[Any]]] = {
    "Box": _box_from_json,
    "Discrete": _discrete_from_json,
    "MultiDiscrete": _multi_discrete_from_json,
    "MultiBinary": lambda form: spaces.MultiBinary(form["n"]),
    "Dict": _dict_from_json,
}
_TO_JSON: dict[type[spaces.Space[Any]], Callable[[Any], SpaceJSON]] = {
    spaces.Box: _box_to_json,
    spaces.Discrete: lambda space: {"n": int(space.n), "start": int(space.start)},
    spaces.MultiDiscrete: lambda space: {"nvec": space.nvec.tolist(), "start": space.start.tolist()},
    spaces.MultiBinary: lambda space: {"n": space.n if isinstance(space.n, int) else list(space.n)},
    spaces.Dict: lambda space: {"spaces": {key: space_to_json(part) for key, part in space.spaces.items()}},
}
