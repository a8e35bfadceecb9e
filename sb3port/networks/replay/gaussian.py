"""A Gaussian that tanh squashes, with SB3's numbers. Source: `stable_baselines3.common.distributions`."""

import torch
from torch import Tensor
from torch.distributions import Normal
from typing_extensions import override

from sb3port.networks.distributions import ActionDistribution
from sb3port.networks.gaussian import inverse_tanh

_EPSILON = 1e-6  # keeps the logarithm finite; SB3's value


class SquashedGaussian(ActionDistribution):
    """tanh of independent Gaussians: `mean` and `log_std` `(B, A)`."""

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self._normal = Normal(mean, torch.ones_like(mean) * log_std.exp())

    @override
    def sample(self) -> Tensor:
        """Draw one action per row, `(B, A)`, in [-1, 1]."""
        return torch.tanh(self._normal.rsample())

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood of actions `(B, A)` in nats, `(B,)`, by inverting tanh."""
        log_prob = self._normal.log_prob(inverse_tanh(actions)).sum(dim=1)
        log_prob -= torch.sum(torch.log(1 - actions**2 + _EPSILON), dim=1)
        return log_prob

    @override
    def entropy(self) -> None:
        """None: tanh leaves it no analytical form."""
        return
