"""What every features extractor says of itself."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sb3port.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.families.layers import Shapes
from sb3port.spaces import Box, Discrete, MultiDiscrete, Space

type Widths = Mapping[str, int]


@dataclass(frozen=True)
class Extractor:
    """One class of `stable_baselines3/common/torch_layers.py`.

    Args:
        name: As SB3's class is called.
        recognises: Whether observations and names of tensors are those of this extractor.
        read_widths: Its keyword arguments, as its tensors have them.
        shapes: The shape of every tensor, given observations, widths and `normalize_images`.
        features: How many features it gives, from the same.
    """

    name: str
    recognises: Callable[[Space, Collection[str]], bool]
    read_widths: Callable[[Mapping[str, Array]], dict[str, int]]
    shapes: Callable[[Space, Widths, bool], Shapes]
    features: Callable[[Space, Widths, bool], int]


def vector_size(space: Space) -> int:
    """Length of what `preprocess_obs` and flattening make of an observation: discrete ones become one-hot.

    Raises:
        NotPortable: No extractor of SB3's takes such observations.
    """
    if isinstance(space, Discrete):
        return space.n
    if isinstance(space, MultiDiscrete) and len(space.shape) == 1:
        return int(space.nvec.sum())
    if isinstance(space, MultiDiscrete) or not hasattr(space, "size"):
        raise NotPortable(
            f"observations of {str(space)[:500]} are not supported here",
            "a Dict is for MultiInputPolicy, and a MultiDiscrete has one dimension, in SB3, too",
        )
    return space.size


def is_convolved(space: Space, normalize_images: bool) -> bool:
    """Whether SB3 gives it to a CNN: an image, without `normalize_images` any Box of three dimensions."""
    if not isinstance(space, Box):
        return False
    return space.is_image or (not normalize_images and len(space.shape) == 3)
