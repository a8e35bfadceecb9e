"""imitation's NormalizeFeaturesExtractor, which keeps running statistics within the policy.

Source: `imitation.policies.base` and `RunningNorm` in `imitation.util.networks`, version 1.0.
"""

from typing import TYPE_CHECKING, Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from lerobot_policy_ppo.extractors.base import ExtractorKind, FeaturesExtractor, encoded_size, refuse_dict

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig

_EPSILON = 1e-5


class RunningNorm(nn.Module):
    """Subtract the mean of all rows seen in training, and divide by their standard deviation.

    Attributes:
        running_mean, running_var: `(n,)`; the variance is the biased one.
        count: How many rows they stand for, int32.
    """

    running_mean: Tensor
    running_var: Tensor
    count: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(n_features))
        self.register_buffer("running_var", torch.ones(n_features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int32))

    def forward(self, rows: Tensor) -> Tensor:
        """Normalise `(B, n)`; in training the rows are counted first."""
        if self.training:
            self._update(rows)
        return (rows - self.running_mean) / torch.sqrt(self.running_var + _EPSILON)

    @torch.no_grad()
    def _update(self, rows: Tensor) -> None:
        """Chan, Golub and LeVeque's parallel update, in imitation's order of operations."""
        n, delta = len(rows), rows.mean(dim=0) - self.running_mean
        total = self.count + n
        self.running_mean += delta * n / total
        self.running_var *= self.count
        self.running_var += rows.var(dim=0, unbiased=False) * n
        self.running_var += delta.square() * self.count * n / total
        self.running_var /= total
        self.count += n


class NormalizeFeaturesExtractor(FeaturesExtractor):
    """The observation, flattened and normalised: `(B, ...) -> (B, features_dim)`."""

    def __init__(self, features_dim: int) -> None:
        super().__init__(features_dim)
        self.normalize = RunningNorm(features_dim)

    def forward(self, observations: Tensor) -> Tensor:
        """Flatten and normalise the rows."""
        return self.normalize(observations.flatten(start_dim=1))


def _build(space: spaces.Space[Any], config: "PPOConfig") -> NormalizeFeaturesExtractor:
    refuse_dict(space, config)
    return NormalizeFeaturesExtractor(encoded_size(space))


NORMALIZE_FEATURES = ExtractorKind("NormalizeFeaturesExtractor", _build)
