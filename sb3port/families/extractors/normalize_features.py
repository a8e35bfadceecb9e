"""`NormalizeFeaturesExtractor` of imitation: a flat observation, normalised by statistics within the policy.

Source: `imitation/policies/base.py` and `RunningNorm` in `imitation/util/networks.py`, version 1.0.
"""

from sb3port.checkpoint.spaces import Space
from sb3port.families.extractors.base import Extractor, vector_size
from sb3port.families.layers import Shapes


def _shapes(space: Space, *_: object) -> Shapes:
    vector = (vector_size(space),)
    return {"normalize.running_mean": vector, "normalize.running_var": vector, "normalize.count": ()}


NORMALIZE_FEATURES = Extractor(
    "NormalizeFeaturesExtractor",
    recognises=lambda _, tensors: "normalize.running_mean" in tensors,
    shapes=_shapes,
    features=lambda space, *_: vector_size(space),
    module="imitation.policies.base",
    arguments={"normalize_class": "imitation.util.networks.RunningNorm"},
    buffers=frozenset({"normalize.running_mean", "normalize.running_var", "normalize.count"}),
    dtypes={"normalize.count": "int32"},
)
