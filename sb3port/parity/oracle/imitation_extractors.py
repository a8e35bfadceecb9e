"""imitation's features extractor as the oracle has it: imitation itself needs an SB3 before 2.3.

Source: `imitation/policies/base.py` and `imitation/util/networks.py`, version 1.0.
"""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn


class RunningNorm(nn.Module):
    """Its `RunningNorm`: statistics take in what they see in training, and stay as they are in evaluation.

    Args:
        num_features: Length of an observation.
        eps: Added to the variance.
    """

    running_mean: Tensor
    running_var: Tensor
    count: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("running_mean", torch.empty(num_features))
        self.register_buffer("running_var", torch.empty(num_features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, n)`."""
        if self.training:
            with torch.no_grad():
                self.update_stats(x)
        return (x - self.running_mean) / torch.sqrt(self.running_var + self.eps)

    def update_stats(self, batch: Tensor) -> None:
        """Take in rows `(B, n)`, by Chan, Golub and LeVeque's parallel algorithm."""
        batch_mean, batch_var = torch.mean(batch, dim=0), torch.var(batch, dim=0, unbiased=False)
        batch_count = batch.shape[0]
        delta = batch_mean - self.running_mean
        tot_count = self.count + batch_count
        self.running_mean += delta * batch_count / tot_count
        self.running_var *= self.count
        self.running_var += batch_var * batch_count
        self.running_var += torch.square(delta) * self.count * batch_count / tot_count
        self.running_var /= tot_count
        self.count += batch_count


class NormalizeFeaturesExtractor(FlattenExtractor):  # type: ignore[misc]  # SB3's is untyped
    """Its `NormalizeFeaturesExtractor` with its default `normalize_class`."""

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        super().__init__(observation_space)
        self.normalize = RunningNorm(self.features_dim)

    def forward(self, observations: Tensor) -> Tensor:
        """Flatten, then normalise."""
        normalized: Tensor = self.normalize(super().forward(observations))
        return normalized
