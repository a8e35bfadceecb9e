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


class Buffers(BaseFeaturesExtractor):
    """Parameters among buffers, which no shape tells apart; some are learned from, and one is not saved."""

    def __init__(self, observation_space: spaces.Box, features_dim: int = 3) -> None:
        super().__init__(observation_space, features_dim)
        self.register_buffer("shift", torch.linspace(-0.5, 0.5, 3))
        self.scale = nn.Parameter(torch.ones(3))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("table", torch.eye(3), persistent=False)
        self.first, self.normalize = nn.Linear(3, 3), nn.BatchNorm1d(3)
        self.last = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, features_dim))

    def forward(self, observations: Tensor) -> Tensor:
        if self.training:
            self.count += len(observations)
            self.mean += (observations.detach().mean(0) - self.mean) / self.count
        seen = (observations - self.mean + self.shift) * self.scale
        return self.last(self.normalize(self.first(seen) @ self.table))


class Frozen(BaseFeaturesExtractor):
    """A layer that is not trained, one that is there twice, dropout, and a mask as attention has it."""

    def __init__(self, observation_space: spaces.Box, features_dim: int = 3) -> None:
        super().__init__(observation_space, features_dim)
        self.fixed = nn.Linear(3, 3).requires_grad_(False)
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, features_dim)
        self.second.weight = self.first.weight
        self.again, self.drop = self.first, nn.Dropout(0.2)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))

    def forward(self, observations: Tensor) -> Tensor:
        seen = self.drop(torch.tanh(self.again(self.fixed(observations))))
        return self.second(seen @ torch.softmax(self.mask, dim=1))


class Doubled(nn.Module):
    """It has no tensors, but changes the observations."""

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__()
        (self.features_dim,) = observation_space.shape

    def forward(self, observations: Tensor) -> Tensor:
        return 2 * observations


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
