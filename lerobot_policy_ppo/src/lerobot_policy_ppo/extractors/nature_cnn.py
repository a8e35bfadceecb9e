"""SB3's NatureCNN. Source: `stable_baselines3.common.torch_layers`, https://doi.org/10.1038/nature14236."""

from typing import TYPE_CHECKING, Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from lerobot_policy_ppo.extractors.base import ExtractorKind, FeaturesExtractor, has_convolutions
from lerobot_policy_ppo.spaces import image_shape, is_image

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig


class NatureCNN(FeaturesExtractor):
    """The convolutions of DQN's Nature paper: `(B, C, H, W) -> (B, features_dim)`.

    Args:
        shape: (C, H, W).
        features_dim: Width of the last layer.

    Raises:
        ValueError: The image is smaller than 36 x 36, which the convolutions need.
    """

    def __init__(self, shape: tuple[int, ...], features_dim: int = 512) -> None:
        super().__init__(features_dim)
        if min(shape[1:]) < 36:
            raise ValueError(
                f"NatureCNN needs images of at least 36 x 36, but observation_space has {shape}."
            )
        self.cnn = nn.Sequential(
            nn.Conv2d(shape[0], 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3, stride=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            n_flatten = self.cnn(torch.zeros(1, *shape)).shape[1]
        self.linear = nn.Sequential(nn.Linear(n_flatten, features_dim), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Features of images."""
        return self.linear(self.cnn(observations))


def nature_cnn(space: spaces.Space[Any], features_dim: int) -> NatureCNN:
    """A NatureCNN for a space that `has_convolutions`."""
    assert isinstance(space, spaces.Box)
    return NatureCNN(image_shape(space) if is_image(space) else space.shape, features_dim)


def _build(space: spaces.Space[Any], config: "PPOConfig") -> NatureCNN:
    if not has_convolutions(space, config):
        raise ValueError(
            f"features_extractor is {config.features_extractor!r}, which needs images, but observation_space "
            f"is {space}."
        )
    return nature_cnn(space, config.features_extractor_kwargs.get("features_dim", 512))


NATURE_CNN = ExtractorKind("NatureCNN", _build, frozenset({"features_dim"}))
