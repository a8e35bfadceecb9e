"""SB3's CombinedExtractor. Source: `stable_baselines3.common.torch_layers`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from lerobot_policy_ppo.extractors.base import (
    ExtractorKind,
    FeaturesExtractor,
    encoded_size,
    has_convolutions,
)
from lerobot_policy_ppo.extractors.flatten import FlattenExtractor
from lerobot_policy_ppo.extractors.nature_cnn import nature_cnn

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig


class CombinedExtractor(FeaturesExtractor):
    """One extractor for every key of a Dict, concatenated in the order of the space.

    Args:
        parts: The extractors by key.
    """

    def __init__(self, parts: Mapping[str, FeaturesExtractor]) -> None:
        super().__init__(sum(part.features_dim for part in parts.values()))
        self.extractors = nn.ModuleDict(parts)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Features of observations that are named like the extractors."""
        return torch.cat([part(observations[name]) for name, part in self.extractors.items()], dim=1)


def _build(space: spaces.Space[Any], config: "PPOConfig") -> CombinedExtractor:
    if not isinstance(space, spaces.Dict):
        raise ValueError(
            f"features_extractor is {config.features_extractor!r}, which needs a Dict, but observation_space "
            f"is {space}."
        )
    width = config.features_extractor_kwargs.get("cnn_output_dim", 256)
    return CombinedExtractor(
        {
            name: nature_cnn(part, width)
            if has_convolutions(part, config)
            else FlattenExtractor(encoded_size(part))
            for name, part in space.spaces.items()
        }
    )


COMBINED = ExtractorKind("CombinedExtractor", _build, frozenset({"cnn_output_dim"}))
