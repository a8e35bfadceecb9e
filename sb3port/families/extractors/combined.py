"""`CombinedExtractor`: a NatureCNN for each image of a Dict, all else flattened, joined in order.

Source: `stable_baselines3.common.torch_layers`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Dict, Simple, Space
from sb3port.errors import NotPortable
from sb3port.families.extractors.base import Arguments, Extractor, is_convolved, vector_size
from sb3port.families.extractors.flatten import flatten
from sb3port.families.extractors.nature_cnn import cnn_differences, cnn_shapes, nature_cnn, output_width
from sb3port.families.layers import Shapes, under

if TYPE_CHECKING:
    from torch import nn

_SB3_WIDTH = 256


def _read_arguments(tensors: Mapping[str, Array]) -> dict[str, int]:
    """`cnn_output_dim` from any of its CNNs, all of which have the same; nothing without any."""
    last = next((name for name in tensors if name.endswith(".linear.0.weight")), None)
    return {"cnn_output_dim": output_width({"linear.0.weight": tensors[last]})} if last else {}


def _shapes(space: Space, arguments: Arguments, normalize_images: bool) -> Shapes:
    shapes: Shapes = {}
    for key, part in _parts(space).items():
        if is_convolved(part, normalize_images):
            cnn = cnn_shapes(part, _cnn_width(arguments), normalize_images)
            shapes |= under(f"extractors.{key}", cnn)
    return shapes


def _features(space: Space, arguments: Arguments, normalize_images: bool) -> int:
    return sum(
        _cnn_width(arguments) if is_convolved(part, normalize_images) else vector_size(part)
        for part in _parts(space).values()
    )


def _build(space: Space, arguments: Arguments, normalize_images: bool) -> "nn.Module":
    import torch
    from torch import Tensor, nn

    class CombinedExtractor(nn.Module):
        """The features of every key, side by side in the order of the space."""

        def __init__(self, extractors: Mapping[str, nn.Module]) -> None:
            super().__init__()
            self.extractors = nn.ModuleDict(extractors)

        def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
            """Give `(B, features)` of observations that are named like the extractors."""
            return torch.cat([part(observations[name]) for name, part in self.extractors.items()], dim=1)

    return CombinedExtractor(
        {
            key: nature_cnn(part, _cnn_width(arguments), normalize_images)
            if is_convolved(part, normalize_images)
            else flatten(part)
            for key, part in _parts(space).items()
        }
    )


def _differences(tensors: Mapping[str, Array]) -> list[str]:
    """Look at the CNN of each image."""
    nets: dict[str, dict[str, Array]] = {}
    for name, array in tensors.items():
        _, key, rest = (*name.split(".", 2), "", "")[:3]
        nets.setdefault(key, {})[rest] = array
    return [f"extractors.{key[:200]}.{text}" for key, net in nets.items() for text in cnn_differences(net)]


def _cnn_width(arguments: Arguments) -> int:
    return int(arguments.get("cnn_output_dim", _SB3_WIDTH))


def _parts(space: Space) -> Mapping[str, Simple]:
    if not isinstance(space, Dict):
        raise NotPortable(f"a CombinedExtractor takes a Dict, but the observations are {str(space)[:500]}")
    return space.spaces


COMBINED = Extractor(
    "CombinedExtractor",
    recognises=lambda space, tensors: (
        isinstance(space, Dict) or any(name.startswith("extractors.") for name in tensors)
    ),
    shapes=_shapes,
    features=_features,
    build=_build,
    read_arguments=_read_arguments,
    arguments={"cnn_output_dim": None, "normalized_image": None},
    differences=_differences,
)
