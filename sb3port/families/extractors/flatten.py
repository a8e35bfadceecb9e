"""`FlattenExtractor`: observations as one vector, no tensors.

Source: `stable_baselines3.common.torch_layers`.
"""

from typing import TYPE_CHECKING

from sb3port.checkpoint.spaces import Space
from sb3port.families.extractors.base import Extractor, vector_size

if TYPE_CHECKING:
    from torch import nn


def flatten(space: Space, *_: object) -> "nn.Module":
    """Make the torch module: `(B, ...) -> (B, n)`.

    Raises:
        NotPortable: The observations are a Dict.
    """
    from torch import nn

    vector_size(space)
    return nn.Flatten()


FLATTEN = Extractor(
    "FlattenExtractor",
    recognises=lambda *_: True,
    shapes=lambda *_: {},
    features=lambda space, *_: vector_size(space),
    build=flatten,
)
