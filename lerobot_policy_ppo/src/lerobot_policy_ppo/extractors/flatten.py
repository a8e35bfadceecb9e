"""SB3's FlattenExtractor. Source: `stable_baselines3.common.torch_layers`."""

from typing import TYPE_CHECKING, Any

from gymnasium import spaces
from torch import Tensor

from lerobot_policy_ppo.extractors.base import ExtractorKind, FeaturesExtractor, encoded_size, refuse_dict

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig


class FlattenExtractor(FeaturesExtractor):
    """The observation itself, flattened: `(B, ...) -> (B, features_dim)`."""

    def forward(self, observations: Tensor) -> Tensor:
        """Flatten the rows."""
        return observations.flatten(start_dim=1)


def _build(space: spaces.Space[Any], config: "PPOConfig") -> FlattenExtractor:
    refuse_dict(space, config)
    return FlattenExtractor(encoded_size(space))


FLATTEN = ExtractorKind("FlattenExtractor", _build)
