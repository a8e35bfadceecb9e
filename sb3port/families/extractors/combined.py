"""`CombinedExtractor`: a NatureCNN for each image of a Dict, all else flattened, joined in order."""

from collections.abc import Mapping

from sb3port.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.families.extractors.base import Extractor, Widths, is_convolved, vector_size
from sb3port.families.extractors.nature_cnn import cnn_shapes, output_width
from sb3port.families.layers import Shapes, under
from sb3port.spaces import Dict, Simple, Space

_SB3_WIDTH = 256


def _read_widths(tensors: Mapping[str, Array]) -> dict[str, int]:
    """`cnn_output_dim` from any of its CNNs, all of which have the same; SB3's default without any."""
    last = next((name for name in tensors if name.endswith(".linear.0.weight")), None)
    width = output_width({"linear.0.weight": tensors[last]}) if last else _SB3_WIDTH
    return {"cnn_output_dim": width}


def _shapes(space: Space, widths: Widths, normalize_images: bool) -> Shapes:
    shapes: Shapes = {}
    for key, part in _parts(space).items():
        if is_convolved(part, normalize_images):
            cnn = cnn_shapes(part, widths["cnn_output_dim"], normalize_images)
            shapes |= under(f"extractors.{key}", cnn)
    return shapes


def _features(space: Space, widths: Widths, normalize_images: bool) -> int:
    return sum(
        widths["cnn_output_dim"] if is_convolved(part, normalize_images) else vector_size(part)
        for part in _parts(space).values()
    )


def _parts(space: Space) -> Mapping[str, Simple]:
    if not isinstance(space, Dict):
        raise NotPortable(f"a CombinedExtractor takes a Dict, but the observations are {str(space)[:500]}")
    return space.spaces


COMBINED = Extractor(
    "CombinedExtractor",
    recognises=lambda space, tensors: (
        isinstance(space, Dict) or any(name.startswith("extractors.") for name in tensors)
    ),
    read_widths=_read_widths,
    shapes=_shapes,
    features=_features,
)
