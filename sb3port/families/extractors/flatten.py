"""`FlattenExtractor`: observations as one vector, no tensors."""

from sb3port.families.extractors.base import Extractor, vector_size

FLATTEN = Extractor(
    "FlattenExtractor",
    recognises=lambda *_: True,
    shapes=lambda *_: {},
    features=lambda space, *_: vector_size(space),
)
