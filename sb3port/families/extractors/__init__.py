"""Features extractors: what they make of observations, and which tensors they have.

A new one is a file with an `Extractor` and a line in `EXTRACTORS`.
"""

from collections.abc import Mapping

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Space
from sb3port.errors import NotPortable
from sb3port.families.extractors.base import Extractor, is_convolved, vector_size
from sb3port.families.extractors.combined import COMBINED
from sb3port.families.extractors.flatten import FLATTEN
from sb3port.families.extractors.nature_cnn import NATURE_CNN
from sb3port.families.extractors.normalize_features import NORMALIZE_FEATURES
from sb3port.families.extractors.own import BY_NAME, is_own, own_extractor

__all__ = [
    "BY_NAME",
    "EXTRACTORS",
    "Extractor",
    "extractor_of",
    "infer_extractor",
    "is_convolved",
    "is_own",
    "vector_size",
]

# The first that recognises its own tensors or observations is it.
EXTRACTORS = (
    NATURE_CNN,
    COMBINED,
    NORMALIZE_FEATURES,
    FLATTEN,
)


def infer_extractor(space: Space, tensors: Mapping[str, Array]) -> Extractor:
    """Tell the extractor from the names of its tensors, and from the observations where it has none.

    Args:
        space: What it observes.
        tensors: The tensors below `features_extractor`.
    """
    return next(extractor for extractor in EXTRACTORS if extractor.recognises(space, tensors))


def extractor_of(name: str, tensors: Mapping[str, Array]) -> Extractor:
    """Give the extractor of a name.

    Args:
        name: Of a class in the registry, or `module:Class` of the user's own.
        tensors: Those of the policy, which alone tell of one of the user's own.

    Raises:
        NotPortable: There is none.
    """
    if is_own(name):
        return own_extractor(name, tensors)
    for extractor in EXTRACTORS:
        if extractor.name == name:
            return extractor
    raise NotPortable(f"the features extractor {name[:200]} is not supported")
