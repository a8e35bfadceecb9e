"""Distributions over Box actions that give the numbers of Stable-Baselines3's, bit for bit.

Source: `stable_baselines3.common.distributions`, https://arxiv.org/abs/2005.05719 for gSDE.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from typing_extensions import Self, override

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box
from sb3port.networks.distributions import ActionDistribution, ActionHead

# Keeps square roots and logarithms finite; SB3's value.
_EPSILON = 1e-6


class DiagGaussian(ActionDistribution):
    """Independent Gaussians: `mean` `(B, A)`, `log_std` `(A,)`."""

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self._normal = Normal(mean, torch.ones_like(mean) * log_std.exp())

    @override
    def sample(self) -> Tensor:
        """Draw one action per row, `(B, A)`; gradients flow through the draw."""
        return self._normal.rsample()

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood of actions `(B, A)` in nats, `(B,)`."""
        return self._normal.log_prob(actions).sum(dim=1)

    @override
    def entropy(self) -> Tensor:
        """Entropy in nats, `(B,)`."""
        return self._normal.entropy().sum(dim=1)

    @override
    def divergence(self, reference: Self) -> Tensor:
        """`KL(self || reference)` in nats, `(B,)`: the sum over the elements of an action."""
        return kl_divergence(self._normal, reference._normal).sum(dim=1)


class StateDependentGaussian(ActionDistribution):
    """gSDE: `mean` and `noise` `(B, A)`, variance `latent**2 @ weight_std**2`, squashed by tanh when asked.

    Args:
        mean: Outputs of `action_net`.
        weight_std: Standard deviations of the noise weights, `(H, A)`, or `(H, 1)` broadcast to it.
        latent: What the noise depends on, `(B, H)`.
        noise: Gives the exploration noise of this batch; called by `sample` only.
        squash: Whether actions are tanh of the Gaussian.
    """

    def __init__(
        self,
        mean: Tensor,
        weight_std: Tensor,
        latent: Tensor,
        noise: Callable[[Tensor], Tensor],
        squash: bool,
    ) -> None:
        self._latent, self._noise, self._squash = latent, noise, squash
        variance = torch.mm(self._latent**2, weight_std**2)
        self._normal = Normal(mean, torch.sqrt(variance + _EPSILON))

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
        """Add the exploration noise to the means, `(B, A)`; in [-1, 1] when squashed."""
        actions = self._normal.mean + self._noise(self._latent)
        return torch.tanh(actions) if self._squash else actions

    @override
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood of actions `(B, A)` in nats, `(B,)`, squashed ones by the change of variables."""
        if not self._squash:
            return self._normal.log_prob(actions).sum(dim=1)
        gaussian = inverse_tanh(actions)
        log_prob = self._normal.log_prob(gaussian).sum(dim=1)
        # Change of variables: the density of tanh(x) is that of x divided by 1 - tanh(x)^2.
        return log_prob - torch.log(1.0 - torch.tanh(gaussian) ** 2 + _EPSILON).sum(dim=1)

    @override
    def entropy(self) -> Tensor | None:
        """Entropy in nats, `(B,)`, or None when squashed: tanh leaves it no analytical form."""
        return None if self._squash else self._normal.entropy().sum(dim=1)

    @override
    def divergence(self, reference: Self) -> Tensor:
        """`KL(self || reference)` in nats, `(B,)`; tanh, which both have or neither, does not change it."""
        return kl_divergence(self._normal, reference._normal).sum(dim=1)


class GaussianHead(ActionHead):
    """Head for a Box without gSDE, which does not squash: its actions may leave [-1, 1] all the same.

    Attributes:
        low, high: Bounds of the action space, `(A,)`.
    """

    low: Tensor
    high: Tensor

    def __init__(self, space: Box, spec: PolicySpec) -> None:
        super().__init__()
        self.n_outputs = math.prod(space.shape)
        self.log_std_init, self.unscales = spec.log_std_init, spec.squash_output
        for name in ("low", "high"):
            bound = torch.tensor(getattr(space, name), dtype=torch.float32).flatten()
            self.register_buffer(name, bound, persistent=False)

    @override
    def initial_log_std(self, latent_dim: int) -> Tensor:
        """`(A,)`."""
        return torch.ones(self.n_outputs) * self.log_std_init

    @override
    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Means of the Gaussians, `(B, A)`, which are `outputs` themselves."""
        return outputs

    @override
    def distribution(
        self, outputs: Tensor, log_std: Tensor | None, latent: Tensor, mask: Tensor | None = None
    ) -> ActionDistribution:
        """Gaussians around `outputs` `(B, A)`, with one `log_std` `(A,)` for all rows."""
        assert log_std is not None
        return DiagGaussian(outputs, log_std)

    @override
    def as_actions(self, actions: Tensor) -> Tensor:
        """Flatten each action, `(B, A)`."""
        return actions.reshape(-1, self.n_outputs)

    @override
    def from_environment(self, actions: Tensor) -> Tensor:
        """Give actions as `(B, A)`, scaled from the bounds to [-1, 1] where the policy unscales."""
        actions = self.as_actions(actions)
        if not self.unscales:
            return actions
        return 2.0 * ((actions - self.low) / (self.high - self.low)) - 1.0


class StateDependentHead(GaussianHead):
    """Head for a Box with gSDE.

    Attributes:
        exploration_mat: Noise weights shared by all rows, `(H, A)`.
        exploration_matrices: Noise weights of each of n environments, `(n, H, A)`.
    """

    exploration_mat: Tensor
    exploration_matrices: Tensor

    def __init__(self, space: Box, spec: PolicySpec) -> None:
        super().__init__(space, spec)
        self.full_std, self.use_expln, self.squash = spec.full_std, spec.use_expln, spec.squash_output
        self.learn_features = spec.sde_net_arch is not None
        for name in ("exploration_mat", "exploration_matrices"):
            self.register_buffer(name, torch.empty(0), persistent=False)

    @override
    def initial_log_std(self, latent_dim: int) -> Tensor:
        """`(H, A)` with `full_std`, else `(H, 1)`."""
        return torch.ones(latent_dim, self.n_outputs if self.full_std else 1) * self.log_std_init

    @override
    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Means of the Gaussians, `(B, A)`, or tanh of them when squashed."""
        return torch.tanh(outputs) if self.squash else outputs

    @override
    def distribution(
        self, outputs: Tensor, log_std: Tensor | None, latent: Tensor, mask: Tensor | None = None
    ) -> ActionDistribution:
        """Gaussians around `outputs` `(B, A)`, whose variance depends on `latent` `(B, H)`."""
        assert log_std is not None
        # The policy's own latent learns from actions only, features made for the noise from the noise.
        latent = latent if self.learn_features else latent.detach()
        return StateDependentGaussian(outputs, self._weight_std(log_std), latent, self._noise, self.squash)

    @torch.no_grad()
    def sample_weights(self, log_std: Tensor, n_envs: int) -> None:
        """Draw new exploration matrices, consuming random numbers exactly as SB3 does."""
        std = self._weight_std(log_std)
        weights = Normal(torch.zeros_like(std), std)
        self.exploration_mat = weights.rsample()
        self.exploration_matrices = weights.rsample(torch.Size((n_envs,)))

    def _weight_std(self, log_std: Tensor) -> Tensor:
        """Standard deviations of the noise weights, `(H, A)`."""
        std = _expln(log_std) if self.use_expln else torch.exp(log_std)
        if self.full_std:
            return std
        return torch.ones(len(log_std), self.n_outputs, device=log_std.device) * std

    def _noise(self, latent: Tensor) -> Tensor:
        """Exploration noise `(B, A)`: one matrix per row when there are B of them, else the shared one."""
        if len(latent) == 1 or len(latent) != len(self.exploration_matrices):
            return torch.mm(latent, self.exploration_mat)
        return torch.bmm(latent.unsqueeze(1), self.exploration_matrices).squeeze(1)


def _expln(log_std: Tensor) -> Tensor:
    """`exp` below zero, `log1p + 1` above: positive, continuous, and slow to grow."""
    below = torch.exp(log_std) * (log_std <= 0)
    safe = log_std * (log_std > 0) + _EPSILON
    return below + (torch.log1p(safe) + 1.0) * (log_std > 0)


def inverse_tanh(actions: Tensor) -> Tensor:
    """Give what tanh makes `actions` of, clamped to stay finite.

    `torch.atanh` differs from SB3's formula in the last bits.
    """
    eps = torch.finfo(actions.dtype).eps
    clamped = actions.clamp(min=-1.0 + eps, max=1.0 - eps)
    return 0.5 * (clamped.log1p() - (-clamped).log1p())
