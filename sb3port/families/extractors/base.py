"""What every features extractor says of itself."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Box, Discrete, MultiDiscrete, Space
from sb3port.errors import NotPortable
from sb3port.families.layers import Shapes

if TYPE_CHECKING:
    from torch import nn

Arguments: TypeAlias = Mapping[str, Any]
TORCH_LAYERS = "stable_baselines3.common.torch_layers"


@dataclass(frozen=True)
class Extractor:
    """One class of features extractors.

    Args:
        name: As the class is called.
        recognises: Whether observations and names of tensors are those of this extractor.
        shapes: The shape of every tensor, given observations, arguments and `normalize_images`.
        features: How many features it gives, from the same.
        build: Makes the torch module that computes it, from the same, with SB3's random numbers: from float32
            `(B, *shape)`, images `(B, C, H, W)`, for a Dict a dictionary of them, to `(B, features)`. It
            imports torch, which describing does without.
        read_arguments: The keyword arguments that its tensors tell.
        module: Where the class is, as pickles name it.
        arguments: The keyword arguments that a file may give it, and the dotted name of the only class
            supported where one is a class, None where it is a number that the tensors tell.
        buffers: The tensors that are no parameters: optimisers have no state for them.
        dtypes: Those of its tensors that are not float32.
        differences: What of the given tensors no such extractor has, whatever it observes; one text each.
    """

    name: str
    recognises: Callable[[Space, Collection[str]], bool]
    shapes: Callable[[Space, Arguments, bool], Shapes]
    features: Callable[[Space, Arguments, bool], int]
    build: "Callable[[Space, Arguments, bool], nn.Module]"
    read_arguments: Callable[[Mapping[str, Array]], dict[str, Any]] = lambda _: {}
    module: str = TORCH_LAYERS
    arguments: Mapping[str, str | None] = field(default_factory=dict)
    buffers: frozenset[str] = frozenset()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    differences: Callable[[Mapping[str, Array]], list[str]] = lambda _: []

    @property
    def dotted_name(self) -> str:
        """The class by its module and name."""
        return f"{self.module}.{self.name}"


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
