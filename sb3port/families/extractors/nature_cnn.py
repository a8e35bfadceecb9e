"""`NatureCNN`: three convolutions and a Linear layer, https://doi.org/10.1038/nature14236.

Source: `stable_baselines3.common.torch_layers`.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Box, Space
from sb3port.errors import NotPortable
from sb3port.families.extractors.base import Arguments, Extractor, is_convolved
from sb3port.families.layers import Shapes, conv, linear

if TYPE_CHECKING:
    from torch import nn

# Position in `cnn`, filters, kernel, stride.
_SB3_WIDTH = 512
_LAYERS = ((0, 32, 8, 4), (2, 64, 4, 2), (4, 64, 3, 1))


def cnn_shapes(space: Space, features: int, normalize_images: bool) -> Shapes:
    """Give the shape of every tensor of a NatureCNN for images `(C, H, W)`.

    Raises:
        NotPortable: The observations are no images, or too small.
    """
    if not isinstance(space, Box) or not is_convolved(space, normalize_images):
        raise NotPortable(f"a NatureCNN takes images, but the observations are {str(space)[:500]}")
    shape = space.channels_first if space.is_image else space.shape
    channels, height, width = shape
    shapes: Shapes = {}
    for index, filters, kernel, stride in _LAYERS:
        shapes |= conv(f"cnn.{index}", channels, filters, kernel)
        channels, height, width = filters, (height - kernel) // stride + 1, (width - kernel) // stride + 1
    if min(height, width) < 1:
        raise NotPortable(f"images of {shape} are too small for a NatureCNN")
    return shapes | linear("linear.0", channels * height * width, features)


def nature_cnn(space: Space, features: int, normalize_images: bool) -> "nn.Module":
    """Make the torch module for images: `(B, C, H, W) -> (B, features)`.

    Raises:
        NotPortable: As `cnn_shapes`.
    """
    from torch import nn

    shapes = cnn_shapes(space, features, normalize_images)
    layers: list[nn.Module] = []
    for index, filters, kernel, stride in _LAYERS:
        channels = shapes[f"cnn.{index}.weight"][1]
        layers += [nn.Conv2d(channels, filters, kernel, stride), nn.ReLU()]
    cnn = nn.Sequential(*layers, nn.Flatten())
    linear_layer = nn.Sequential(nn.Linear(shapes["linear.0.weight"][1], features), nn.ReLU())
    return nn.Sequential(OrderedDict(cnn=cnn, linear=linear_layer))


def cnn_differences(tensors: Mapping[str, Array]) -> list[str]:
    """Say what of some tensors is not a NatureCNN's: layers, kernels and filters, for images of any size.

    Where some are only missing, the file is damaged rather than of another network.
    """
    first, last = (tensors.get(name) for name in ("cnn.0.weight", "linear.0.weight"))
    channels = first.shape[1] if first is not None and first.ndim == 4 else 1
    inputs, features = last.shape[::-1] if last is not None and last.ndim == 2 else (1, 1)
    shapes: Shapes = {}
    for index, filters, kernel, _ in _LAYERS:
        shapes |= conv(f"cnn.{index}", channels, filters, kernel)
        channels = filters
    shapes |= linear("linear.0", inputs, features)
    missing = [f"{name} is missing" for name in shapes if name not in tensors]
    others = [
        f"{name[:200]} is {array.shape} instead of {shapes[name]}"
        if name in shapes
        else f"{name[:200]} has no place"
        for name, array in tensors.items()
        if array.shape != shapes.get(name)
    ]
    return [*others, *missing] if others else []


def output_width(tensors: Mapping[str, Array]) -> int:
    """Tell `features_dim` from the last layer, 0 where it is absent or of no use."""
    weight = tensors.get("linear.0.weight")
    return weight.shape[0] if weight is not None and weight.ndim == 2 else 0


def _width(arguments: Arguments) -> int:
    return int(arguments.get("features_dim", _SB3_WIDTH))


NATURE_CNN = Extractor(
    "NatureCNN",
    recognises=lambda _, tensors: any(name.startswith("cnn.") for name in tensors),
    shapes=lambda space, arguments, normalize: cnn_shapes(space, _width(arguments), normalize),
    features=lambda _space, arguments, _: _width(arguments),
    build=lambda space, arguments, normalize: nature_cnn(space, _width(arguments), normalize),
    read_arguments=lambda tensors: {"features_dim": output_width(tensors)},
    arguments={"features_dim": None, "normalized_image": None},
    differences=cnn_differences,
)
