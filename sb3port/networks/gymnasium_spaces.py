"""From spaces of a checkpoint to Gymnasium's and back, and an environment that has nothing but them."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, Space, parts


def space_of(space: spaces.Space[Any]) -> Space:
    """Give the plain form of a Gymnasium space.

    Raises:
        ValueError: It is not of a kind that SB3 has policies for.
    """
    if isinstance(space, spaces.Dict):
        return Dict({key: _simple(part) for key, part in space.spaces.items()})
    return _simple(space)


def is_image(space: spaces.Space[Any]) -> bool:
    """Whether SB3 takes a space for an image: uint8, three dimensions, all bounds 0 and 255."""
    if not isinstance(space, spaces.Box):
        return False
    plain = _simple(space)
    return isinstance(plain, Box) and plain.is_image


def _simple(space: spaces.Space[Any]) -> Simple:
    match space:
        case spaces.Box():
            return Box(space.shape, np.dtype(space.dtype).name, space.low, space.high)
        case spaces.Discrete():
            return Discrete(int(space.n), int(space.start))
        case spaces.MultiDiscrete():
            return MultiDiscrete(space.nvec.astype(np.int64), space.start.astype(np.int64))
        case spaces.MultiBinary():
            return MultiBinary(tuple(space.shape))
    raise ValueError(f"{space} cannot be described: the supported spaces are {', '.join(_SUPPORTED)}.")


_SUPPORTED = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict")


def policy_space(space: Space) -> spaces.Space[Any]:
    """Give the space that a policy sees: images as SB3's VecTransposeImage gives them."""
    if isinstance(space, Dict):
        return _dict({key: policy_space(part) for key, part in space.spaces.items()})
    if isinstance(space, Box) and space.is_image:
        return spaces.Box(0, 255, space.channels_first, np.uint8)
    return gymnasium_space(space)


def gymnasium_space(space: Space) -> spaces.Space[Any]:
    """Give the Gymnasium space of the same bounds and type."""
    match space:
        case Box():
            return spaces.Box(space.low, space.high, space.shape, np.dtype(space.dtype).type)
        case Discrete():
            return spaces.Discrete(space.n, start=space.start)
        case MultiBinary():
            return spaces.MultiBinary(space.n)
        case Dict():
            return _dict({key: gymnasium_space(part) for key, part in space.spaces.items()})
    return spaces.MultiDiscrete(space.nvec, start=space.start)


def _dict(by_key: dict[str, spaces.Space[Any]]) -> spaces.Dict:
    """Keep the order, which Gymnasium 1.0 and old releases sort."""
    space = spaces.Dict(by_key)
    space.spaces = by_key
    return space


class SpacesOnly(gymnasium.Env[Any, Any]):
    """An environment that is never stepped.

    Args:
        spec: Of whose policy it has the spaces.
        channels_last: Keys of the images that the environment has with their channels last, "" for a Box.
    """

    def __init__(self, spec: PolicySpec, channels_last: tuple[str, ...] = ()) -> None:
        seen = {key: policy_space(part) for key, part in parts(spec.observation_space).items()}
        seen |= {key: _channels_last(seen[key]) for key in channels_last if key in seen}
        self.observation_space = _dict(seen) if isinstance(spec.observation_space, Dict) else seen[""]
        self.action_space = gymnasium_space(spec.action_space)


def _channels_last(space: spaces.Space[Any]) -> spaces.Box:
    channels, height, width = space.shape or ()
    return spaces.Box(0, 255, (height, width, channels), np.uint8)
