"""imitation's features extractor as the oracle has it: imitation itself needs an SB3 before 2.3.

Source: `imitation/policies/base.py` and `imitation/util/networks.py`, version 1.0.
"""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn


class RunningNorm(nn.Module):
    """Its `RunningNorm` in evaluation, where statistics stay as they are.

    Args:
        num_features: Length of an observation.
        eps: Added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_mean", torch.empty(num_features))
        self.register_buffer("running_var", torch.empty(num_features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, n)`."""
        return (x - self.running_mean) / torch.sqrt(self.running_var + self.eps)


class NormalizeFeaturesExtractor(FlattenExtractor):  # type: ignore[misc]  # SB3's is untyped
    """Its `NormalizeFeaturesExtractor` with its default `normalize_class`."""

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        super().__init__(observation_space)
        self.normalize = RunningNorm(self.features_dim)

    def forward(self, observations: Tensor) -> Tensor:
        """Flatten, then normalise."""
        normalized: Tensor = self.normalize(super().forward(observations))
        return normalized
