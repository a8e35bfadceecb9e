"""Features extractors of a user's own, as users of SB3 write them."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn


class Waves(BaseFeaturesExtractor):
    """For observations of rank two, whose shape it needs; nested arguments."""

    def __init__(self, observation_space: spaces.Box, features_dim: int, factors: list[list[float]]) -> None:
        super().__init__(observation_space, features_dim)
        rows, columns = observation_space.shape
        self.factors, self.mix = factors, nn.Linear(rows, 1)
        self.net = nn.Sequential(nn.Linear(columns, features_dim), nn.LayerNorm(features_dim))

    def forward(self, observations: Tensor) -> Tensor:
        mixed = self.mix(observations.transpose(1, 2)).squeeze(2)
        return torch.sin(self.net(mixed) * self.factors[0][1])


class Waves1(BaseFeaturesExtractor):
    """For vectors."""

    def __init__(self, observation_space: spaces.Box, features_dim: int) -> None:
        super().__init__(observation_space, features_dim)
        self.net = nn.Linear(observation_space.shape[0], features_dim)

    def forward(self, observations: Tensor) -> Tensor:
        return torch.sin(self.net(observations))


class Blocks(BaseFeaturesExtractor):
    """For images; it has buffers, one of which is an integer."""

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(observation_space, 12)
        channels, _, _ = observation_space.shape
        self.net = nn.Sequential(
            nn.Conv2d(channels, 3, 8, stride=8), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.LazyLinear(12)
        self.head(self.net(torch.zeros(1, *observation_space.shape)))

    def forward(self, observations: Tensor) -> Tensor:
        return self.head(self.net(observations))


class Pair(nn.Module):
    """For a Dict; not built on SB3's class."""

    def __init__(self, observation_space: spaces.Dict, **_: Any) -> None:
        super().__init__()
        self.features_dim = 4
        self.one = nn.Linear(observation_space["z"].shape[0], 4)
        self.two = nn.Linear(observation_space["a"].n, 4, bias=False)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        return self.one(observations["z"]) * self.two(observations["a"])


class Plain(nn.Flatten):
    """Not what any policy of the tests was trained with: it has no tensors."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        self.features_dim = 6


class Raising(Plain):
    """Cannot be made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("no such device")


class NotOne:
    """No torch module."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.features_dim = 6
