"""A Gaussian that tanh squashes, with SB3's numbers. Source: `stable_baselines3.common.distributions`."""

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from typing_extensions import Self, override

from sb3port.networks.distributions import ActionDistribution
from sb3port.networks.gaussian import inverse_tanh

_EPSILON = 1e-6  # keeps the logarithm finite; SB3's value


class SquashedGaussian(ActionDistribution):
    """tanh of independent Gaussians: `mean` and `log_std` `(B, A)`."""

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self._normal = Normal(mean, torch.ones_like(mean) * log_std.exp())

    @property
    def mean(self) -> Tensor:
        """Means before tanh, `(B, A)`."""
        return self._normal.mean

    @property
    def std(self) -> Tensor:
        """Standard deviations before tanh, `(B, A)`."""
        return self._normal.stddev

    @override
    def sample(self) -> Tensor:
        """Draw one action per row, `(B, A)`, in [-1, 1]."""
        return torch.tanh(self._normal.rsample())

    def sampled_log_prob(self, actions: Tensor, noise: Tensor) -> Tensor:
        """Log-likelihood of actions that were drawn with this noise, `(B,)`: it needs no inverse of tanh."""
        return self._log_prob(actions, self._normal.mean + noise * self._normal.stddev)

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood of actions `(B, A)` in nats, `(B,)`, by inverting tanh."""
        return self._log_prob(actions, inverse_tanh(actions))

    def _log_prob(self, actions: Tensor, gaussian: Tensor) -> Tensor:
        log_prob = self._normal.log_prob(gaussian).sum(dim=1)
        log_prob -= torch.sum(torch.log(1 - actions**2 + _EPSILON), dim=1)
        return log_prob

    @override
    def divergence(self, reference: Self) -> Tensor:
        """`KL(self || reference)` in nats, `(B,)`, which tanh does not change."""
        return kl_divergence(self._normal, reference._normal).sum(dim=1)

    @override
    def entropy(self) -> None:
        """None: tanh leaves it no analytical form."""
        return
