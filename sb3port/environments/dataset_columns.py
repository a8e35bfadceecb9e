"""How a recording lies in a LeRobotDataset: which column holds what.

Observations have the names of the port's features: a vector is `observation.state`, flattened, an image
`observation.image`, a lossless PNG with its channels last, the part `k` of a Dict `observation.k`, a mask
`observation.action_mask`. LeRobot's images have three channels, and it takes every name with "image" in it
for one; an image with other channels, and a vector with such a name, is a plain array whose name says
"pixels" instead.

`action` is what the environment was given, flat. `sampled_action` is what the distribution gave, neither
clipped nor scaled, and `log_prob` is its log-probability. `deterministic_action` is what the policy would
have done without chance; `value` is the estimated return, `next.reward` the environment's own.
"""

from typing import Any, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, parts
from sb3port.families.features import batch_key, mask_key, mask_size

Features: TypeAlias = dict[str, dict[str, Any]]

SAMPLED, DETERMINISTIC, VALUE, LOG_PROB = "sampled_action", "deterministic_action", "value", "log_prob"


def observation_column(name: str, space: Simple) -> str:
    """Name the column of a part of an observation.

    Args:
        name: Its key in a Dict, "" where it is the whole observation.
        space: Its space.
    """
    key = batch_key(name, space)
    return key if is_picture(space) else key.replace("image", "pixels")


def is_picture(space: Simple) -> bool:
    """Whether LeRobot can store it as an image."""
    return isinstance(space, Box) and space.is_image and space.channels_first[0] == 3


def observation_features(spec: PolicySpec) -> Features:
    """Describe the columns of observations and of masks, as `LeRobotDataset.create` takes it."""
    spaces = parts(spec.observation_space)
    features = {observation_column(name, space): _feature(space) for name, space in spaces.items()}
    mask = {mask_key(spec.observation_space): vector("bool", mask_size(spec))} if spec.maskable else {}
    return features | mask


def observation_dtype(space: Simple) -> str:
    """Name the type of the numbers of an observation."""
    match space:
        case Box():
            return space.dtype
        case MultiBinary():
            return "int8"
        case Discrete() | MultiDiscrete():
            return "int64"


def as_column(space: Simple, values: Array) -> Array:
    """Give values `(n, *space.shape)` as rows of a column: `(n, size)`, an image `(n, H, W, C)`."""
    if isinstance(space, Box) and space.is_image:
        first = values.shape[1:] == space.channels_first
        return np.ascontiguousarray(np.moveaxis(values, 1, -1) if first else values)
    return np.ascontiguousarray(values).reshape(len(values), -1)


def from_column(space: Simple, rows: Array) -> Array:
    """Undo `as_column`."""
    if isinstance(space, Box) and space.is_image:
        first = space.shape == space.channels_first
        return np.ascontiguousarray(np.moveaxis(rows, -1, 1) if first else rows)
    return rows.reshape(len(rows), *space.shape)


def _feature(space: Simple) -> dict[str, Any]:
    if isinstance(space, Box) and space.is_image:
        channels, height, width = space.channels_first
        names = ["height", "width", "channels"]
        dtype = "image" if is_picture(space) else "uint8"
        return {"dtype": dtype, "shape": (height, width, channels), "names": names}
    return vector(observation_dtype(space), space.size)


def vector(dtype: str, size: int) -> dict[str, Any]:
    """Describe a column of vectors."""
    return {"dtype": dtype, "shape": (size,), "names": None}


def number(dtype: str) -> dict[str, Any]:
    """Describe a column of numbers, which LeRobot has as vectors of one."""
    return vector(dtype, 1)
