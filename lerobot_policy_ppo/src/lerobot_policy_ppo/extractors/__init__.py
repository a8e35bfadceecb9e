"""Features extractors, with the parameter names that they have where they come from.

A new one is a file with an `ExtractorKind` and a line in `EXTRACTORS`.
"""

from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from lerobot_policy_ppo.extractors.base import FeaturesExtractor
from lerobot_policy_ppo.extractors.combined import COMBINED
from lerobot_policy_ppo.extractors.flatten import FLATTEN
from lerobot_policy_ppo.extractors.nature_cnn import NATURE_CNN
from lerobot_policy_ppo.extractors.normalize_features import NORMALIZE_FEATURES
from lerobot_policy_ppo.extractors.own import make_own, register_extractor, registered_extractor

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig

__all__ = ["EXTRACTORS", "FeaturesExtractor", "make_extractor", "register_extractor", "registered_extractor"]

EXTRACTORS = (
    FLATTEN,
    NATURE_CNN,
    COMBINED,
    NORMALIZE_FEATURES,
)


def make_extractor(space: spaces.Space[Any], config: "PPOConfig") -> FeaturesExtractor:
    """The features extractor of a policy.

    Args:
        space: The observation space.
        config: Names the extractor and its arguments.

    Raises:
        ValueError: There is no such extractor, or it does not fit the space or its arguments, or it is one of
            the user's own that the user has not registered.
    """
    name = config.features_extractor
    if ":" in name:
        return make_own(name, space, config.features_extractor_kwargs)
    kind = next((kind for kind in EXTRACTORS if kind.name == name), None)
    if kind is None:
        supported = ", ".join(kind.name for kind in EXTRACTORS)
        raise ValueError(f"features_extractor is {name!r}, but the supported ones are {supported}.")
    if unknown := set(config.features_extractor_kwargs) - kind.arguments:
        raise ValueError(f"features_extractor_kwargs has {sorted(unknown)}, which {name} does not take.")
    return kind.build(space, config)
