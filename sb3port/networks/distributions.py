"""What action distributions and the heads that make them have in common.

A head turns the outputs of `action_net` into actions. Heads hold no parameters (`log_std` belongs to the
policy, as in SB3); gSDE keeps its exploration matrices as buffers that are not saved.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn
from typing_extensions import Self


class ActionDistribution(ABC):
    """Distribution over a batch of B actions; actions are `(B,)` for a Discrete, else `(B, A)`."""

    @abstractmethod
    def sample(self) -> Tensor:
        """Draw one action per row."""

    @abstractmethod
    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-likelihood of `actions` in nats, `(B,)`."""

    @abstractmethod
    def entropy(self) -> Tensor | None:
        """Entropy in nats, `(B,)`, or None when it has no analytical form."""

    @abstractmethod
    def divergence(self, reference: Self) -> Tensor:
        """Kullback-Leibler divergence `KL(self || reference)` in nats, `(B,)`, of two of one kind."""


class ActionHead(nn.Module, ABC):
    """What a policy does with the outputs of its `action_net` for one type of action space.

    Attributes:
        n_outputs: Width of `action_net`.
    """

    n_outputs: int

    def initial_log_std(self, latent_dim: int) -> Tensor | None:  # noqa: ARG002 (needed by gSDE)
        """Initial value of the policy's `log_std`, or None when the distribution has none."""
        return None

    @abstractmethod
    def mode(self, outputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Most likely actions for `outputs` `(B, n_outputs)`, without building a distribution.

        Args:
            outputs: What `action_net` gives.
            mask: bool of the same shape, which choices are allowed; None allows all.
        """

    @abstractmethod
    def distribution(
        self, outputs: Tensor, log_std: Tensor | None, latent: Tensor, mask: Tensor | None = None
    ) -> ActionDistribution:
        """Distribution for `outputs` `(B, n_outputs)` and a mask as in `mode`.

        Args:
            outputs: What `action_net` gives.
            log_std: The policy's.
            latent: What gSDE's noise depends on, `(B, H)`.
            mask: As in `mode`.
        """

    @abstractmethod
    def as_actions(self, actions: Tensor) -> Tensor:
        """Give a batch of actions the shape and dtype that `ActionDistribution.log_prob` takes."""

    def from_environment(self, actions: Tensor) -> Tensor:
        """Turn actions that an environment took into actions of the distribution."""
        return self.as_actions(actions)
