"""Action distributions with gradients by hand, in the order in which autograd adds them up.

Every method takes a minibatch of B rows: `outputs` `(B, A)` of `action_net`, `latent` `(B, H)` of the policy
net. The formulas are those of torch's `derivatives.yaml` for SB3's distributions.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete

_LOG_SQRT_2PI = math.log(math.sqrt(2 * math.pi))
_ENTROPY = 0.5 + 0.5 * math.log(2 * math.pi)
_EPSILON = 1e-6  # of gSDE


class Head(ABC):
    """What one type of action space does with the outputs of `action_net`.

    `act` and `log_prob` keep what `backward` needs of the last call.
    """

    @abstractmethod
    def begin_rollout(self) -> None:
        """Take in parameters that have changed since the last rollout."""

    @abstractmethod
    def act(self, outputs: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions, and give their log-likelihoods `(B,)`."""

    @abstractmethod
    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        """Log-likelihoods of actions in nats, `(B,)`."""

    @abstractmethod
    def backward(self, gradient: Tensor, entropy_gradient: Tensor | None) -> Tensor:
        """Give the gradient of `outputs`, and write that of the head's own parameters.

        Args:
            gradient: Of the log-likelihoods, `(B, 1)`.
            entropy_gradient: Of every row's entropy, a number; None where the entropy has no weight.
        """

    @abstractmethod
    def entropy(self) -> Tensor:
        """Mean entropy of the rows of the last `log_prob` in nats."""


class GaussianHead(Head):
    """Independent Gaussians: `log_std` `(A,)`.

    Args:
        log_std: The parameter.
        gradient: Where its gradient goes.
    """

    def __init__(self, log_std: Tensor, gradient: Tensor) -> None:
        self._log_std, self._gradient = log_std, gradient
        self.begin_rollout()

    @override
    def begin_rollout(self) -> None:
        """Compute the standard deviations `(A,)` anew."""
        self._set_scale(self._log_std.exp())

    @override
    def act(self, outputs: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions `(B, A)`, and give their log-likelihoods in nats, `(B,)`."""
        actions = outputs + torch.empty_like(outputs).normal_() * self._scale
        return actions, self._evaluate(outputs, actions)

    @override
    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        """Log-likelihoods in nats, `(B,)`, of actions `(B, A)` under the parameter as it is now."""
        self._set_scale(self._log_std.exp())
        return self._evaluate(outputs, actions)

    @override
    def backward(self, gradient: Tensor, entropy_gradient: Tensor | None) -> Tensor:
        """Give the gradient of the means, `(B, A)`, and write that of `log_std`, `(A,)`."""
        scales = self._scale_gradient(gradient, entropy_gradient)
        torch.sum(scales, 0, out=self._gradient)
        self._gradient.mul_(self._scale)
        return self._mean_gradient(gradient)

    @override
    def entropy(self) -> Tensor:
        """Mean entropy of the rows in nats, which without gSDE is the same for all."""
        return (_ENTROPY + self._log_scale).sum(-1).mean()

    def _set_scale(self, scale: Tensor) -> None:
        """Keep standard deviations, `(A,)` or `(B, A)`, and what follows from them."""
        self._scale, self._log_scale = scale, scale.log()
        self._twice_variance = 2 * (scale * scale)

    def _evaluate(self, means: Tensor, actions: Tensor) -> Tensor:
        self._distance = actions - means
        self._quotient = self._distance.square().neg_().div_(self._twice_variance)
        terms = self._quotient - self._log_scale - _LOG_SQRT_2PI
        return terms.flatten() if terms.shape[1] == 1 else terms.sum(dim=1)

    def _mean_gradient(self, gradient: Tensor) -> Tensor:
        return (gradient / self._twice_variance).mul_(2 * self._distance)

    def _scale_gradient(self, gradient: Tensor, entropy_gradient: Tensor | None) -> Tensor:
        """`(B, A)`: the terms of entropy and logarithm first, then that of the variance."""
        opposite = -gradient
        total = opposite / self._scale
        if entropy_gradient is not None:
            total = entropy_gradient / self._scale + total
        variances = (self._quotient / self._twice_variance).mul_(opposite).mul_(2)
        return total.add_(variances.mul_(2 * self._scale))


class StateDependentHead(GaussianHead):
    """gSDE with `full_std`: `log_std` `(H, A)`, variance `latent**2 @ std**2`.

    Args:
        log_std: The parameter.
        gradient: Where its gradient goes.
        noise: Has the exploration matrices that were drawn last.
    """

    def __init__(self, log_std: Tensor, gradient: Tensor, noise: Any) -> None:
        self._noise = noise
        super().__init__(log_std, gradient)

    @override
    def begin_rollout(self) -> None:
        """Compute the standard deviations of the noise weights, `(H, A)`, anew."""
        self._weights = self._log_std.exp()
        self._weights_squared = self._weights.square()

    @override
    def act(self, outputs: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Add the exploration noise to the means, `(B, A)`, and give the log-likelihoods in nats, `(B,)`."""
        self._spread(latent)
        actions = outputs + self._noise._noise(latent)
        return actions, self._evaluate(outputs, actions)

    @override
    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        """Log-likelihoods in nats, `(B,)`, of actions `(B, A)` under the parameter as it is now."""
        self.begin_rollout()
        self._spread(latent)
        return self._evaluate(outputs, actions)

    @override
    def backward(self, gradient: Tensor, entropy_gradient: Tensor | None) -> Tensor:
        """Give the gradient of the means, `(B, A)`, and write that of `log_std`, `(H, A)`."""
        scales = self._scale_gradient(gradient, entropy_gradient)
        variances = scales.div_(2 * self._scale)
        torch.mm(self._latent_squared.t(), variances, out=self._gradient)
        self._gradient.mul_(2 * self._weights).mul_(self._weights)
        return self._mean_gradient(gradient)

    def _spread(self, latent: Tensor) -> None:
        self._latent_squared = latent.square()
        variance = torch.mm(self._latent_squared, self._weights_squared)
        self._set_scale(variance.add_(_EPSILON).sqrt_())


class CategoricalHead(Head):
    """One choice out of A."""

    @override
    def begin_rollout(self) -> None:
        """Do nothing: the head has no parameters."""
        pass

    @override
    def act(self, outputs: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Draw choices, int64 `(B,)`, and give their log-likelihoods in nats, `(B,)`."""
        self._normalise(outputs)
        chances = torch.softmax(self._logits, -1)
        # What torch.multinomial draws, without its checks.
        actions = torch.argmax(chances / torch.empty_like(chances).exponential_(1), -1)
        return actions, self._pick(actions.unsqueeze(-1))

    @override
    def log_prob(self, outputs: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        """Log-likelihoods in nats, `(B,)`, of choices, int64 `(B, 1)`."""
        self._normalise(outputs)
        self._chosen = actions
        return self._pick(actions)

    @override
    def backward(self, gradient: Tensor, entropy_gradient: Tensor | None) -> Tensor:
        """Give the gradient of the logits, `(B, A)`; the head has no parameters."""
        total = torch.zeros_like(self._logits).scatter_add_(-1, self._chosen, gradient)
        if entropy_gradient is not None:
            chances = torch.softmax(self._logits, -1)
            weight = -entropy_gradient
            through_chances = torch._softmax_backward_data(weight * self._logits, chances, -1, torch.float32)
            total = through_chances + weight * chances + total
        sums = -total.sum(-1, keepdim=True)
        return total + sums * (self._outputs - self._normaliser).exp()

    @override
    def entropy(self) -> Tensor:
        """Mean entropy of the rows of the last `log_prob` in nats."""
        return -(self._logits * self._logits.exp()).sum(-1).mean()

    def _normalise(self, outputs: Tensor) -> None:
        self._outputs, self._normaliser = outputs, outputs.logsumexp(-1, keepdim=True)
        self._logits = outputs - self._normaliser

    def _pick(self, actions: Tensor) -> Tensor:
        return self._logits.gather(-1, actions).squeeze(-1)


def make_head(spec: PolicySpec, parameters: Any, gradients: Any, noise: Any) -> Head:
    """Make the head of a policy that `has_head` is true of."""
    if isinstance(spec.action_space, Discrete):
        return CategoricalHead()
    log_std, gradient = parameters["log_std"], gradients["log_std"]
    if spec.use_sde:
        return StateDependentHead(log_std, gradient, noise)
    return GaussianHead(log_std, gradient)


def has_head(spec: PolicySpec) -> bool:
    """Whether there is a head by hand for the actions of a policy."""
    if spec.maskable:
        return False
    if isinstance(spec.action_space, Discrete):
        return True
    plain = spec.full_std and not spec.use_expln and not spec.squash_output
    return isinstance(spec.action_space, Box) and (plain or not spec.use_sde)
