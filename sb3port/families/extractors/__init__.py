"""SB3's features extractors: what they make of observations, and which tensors they have.

A new one is a file with an `Extractor` and a line in `EXTRACTORS`.
"""

from collections.abc import Collection

from sb3port.errors import NotPortable
from sb3port.families.extractors.base import Extractor, is_convolved, vector_size
from sb3port.families.extractors.combined import COMBINED
from sb3port.families.extractors.flatten import FLATTEN
from sb3port.families.extractors.nature_cnn import NATURE_CNN
from sb3port.spaces import Space

__all__ = ["EXTRACTORS", "Extractor", "extractor_of", "infer_extractor", "is_convolved", "vector_size"]

# The first that recognises its own tensors or observations is it.
EXTRACTORS = (NATURE_CNN, COMBINED, FLATTEN)


def infer_extractor(space: Space, tensors: Collection[str]) -> Extractor:
    """Tell the extractor from the names of its tensors, and from the observations where it has none.

    Args:
        space: What it observes.
        tensors: Names of the tensors below `features_extractor`.
    """
    return next(extractor for extractor in EXTRACTORS if extractor.recognises(space, tensors))


def extractor_of(name: str) -> Extractor:
    """Give the extractor of a name.

    Raises:
        NotPortable: There is none.
    """
    for extractor in EXTRACTORS:
        if extractor.name == name:
            return extractor
    raise NotPortable(f"the features extractor {name[:200]} is not supported")
