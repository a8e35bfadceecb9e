"""Gymnasium's spaces in the forms of a port, for tests that begin with those."""

from typing import Any

from gymnasium import spaces

from sb3port.checkpoint.spaces import Box, parts
from sb3port.checkpoint.spaces import space_from_json as plain_from_json
from sb3port.families.features import batch_key
from sb3port.networks.gymnasium_spaces import gymnasium_space, is_image, space_of

__all__ = [
    "flat_size",
    "image_shape",
    "is_image",
    "key_of",
    "observation_parts",
    "space_from_json",
    "space_to_json",
]


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Give the form that `config.json` holds."""
    return space_of(space).to_json()


def space_from_json(form: dict[str, Any]) -> spaces.Space[Any]:
    """Give the space of such a form."""
    return gymnasium_space(plain_from_json(form))


def image_shape(space: spaces.Space[Any]) -> tuple[int, ...]:
    """Give the shape of an image, channels first."""
    plain = space_of(space)
    assert isinstance(plain, Box)
    return plain.channels_first


def flat_size(space: spaces.Space[Any]) -> int:
    """Give the numbers per element in a batch."""
    (part,) = parts(space_of(space)).values()
    return part.size


def key_of(space: spaces.Space[Any], name: str | None = None) -> str:
    """Give the key of an observation in a batch."""
    (part,) = parts(space_of(space)).values()
    return batch_key(name or "", part)


def observation_parts(space: spaces.Space[Any]) -> dict[str, spaces.Space[Any]]:
    """Give the spaces of the parts of an observation by their keys in a batch."""
    if isinstance(space, spaces.Dict):
        return {key_of(part, name): part for name, part in space.spaces.items()}
    return {key_of(space): space}
