"""What the trainer asks of an engine."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from sb3port.checkpoint.checkpoint import Array, OptimizerState, PolicySpec
from sb3port.networks.actor_critic import ActorCritic
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.environments import Observations


@dataclass(frozen=True)
class Learner:
    """What an engine is made from; it takes the policy over.

    Args:
        spec: What the policy is.
        policy: The policy, with its weights.
        settings: The hyperparameters.
        optimizer_class: Name of a `torch.optim` class.
        optimizer: Its state to go on from.
        device: Where to compute.
        ranks: Who learns together, each from its share of every minibatch.
        mixed_precision: Whether networks are computed in numbers of 16 bits, which heads, losses and
            optimiser are not.
        reference: The policy near which this one stays, None for none.
        kl_coef: Weight of the divergence from it.
    """

    spec: PolicySpec
    policy: ActorCritic
    settings: Hyperparameters
    optimizer_class: str
    optimizer: OptimizerState
    device: torch.device
    ranks: Ranks = ALONE
    mixed_precision: bool = False
    reference: ActorCritic | None = None
    kl_coef: float = 0.0

    @property
    def share(self) -> Hyperparameters:
        """The hyperparameters of this process's share: `together.normalised` normalises its advantages."""
        if self.ranks.size == 1:
            return self.settings
        size = self.settings.batch_size // self.ranks.size
        return replace(self.settings, batch_size=size, normalize_advantage=False)


class Decision(NamedTuple):
    """What an engine chose for n environments.

    Args:
        actions: Unclipped, `(n, A)`; `(n,)` for a Discrete.
        values: float32 `(n,)`.
        log_probs: float32 `(n,)`.
        memory: State of a recurrent policy after the step, float32 `(n, 4, L, H)`; else None.
    """

    actions: Array
    values: NDArray[np.float32]
    log_probs: NDArray[np.float32]
    memory: NDArray[np.float32] | None = None


class Recall(NamedTuple):
    """What a recurrent policy remembers of n environments.

    Args:
        memory: float32 `(n, 4, L, H)`, as in `Rollout`.
        starts: 1 where an episode starts, so that the memory counts as zero; float32 `(n,)`.
    """

    memory: NDArray[np.float32]
    starts: NDArray[np.float32]


@dataclass(frozen=True)
class StepSizes:
    """The values of the schedules for one update.

    Args:
        learning_rate, clip_range, clip_range_vf: As in `Hyperparameters`.
        actor_frozen: Whether the actor's learning rate is 0; see `frozen`.
    """

    learning_rate: float
    clip_range: float
    clip_range_vf: float | None = None
    actor_frozen: bool = False

    @classmethod
    def of(cls, settings: Hyperparameters, remaining: float) -> Self:
        """Give their values when this share of the training remains."""
        limit = settings.clip_range_vf
        return cls(
            float(settings.learning_rate(remaining)),
            float(settings.clip_range(remaining)),
            None if limit is None else float(limit(remaining)),
        )


@dataclass(frozen=True)
class UpdateStatistics:
    """Means over the minibatches of an update, under the names that SB3 logs.

    Args:
        policy_gradient_loss: The clipped surrogate.
        value_loss: Mean squared error of the values.
        entropy_loss: Negative entropy in nats.
        approx_kl: Divergence from the policy of the rollout in nats, in the last epoch.
        clip_fraction: Share of transitions outside of the clip range.
        loss: The weighted sum, in the last minibatch.
        epochs: How many were begun.
        reference_kl: Divergence from the reference in nats, None without one.
    """

    policy_gradient_loss: float
    value_loss: float
    entropy_loss: float
    approx_kl: float
    clip_fraction: float
    loss: float
    epochs: int
    reference_kl: float | None = None


class Engine(ABC):
    """Holds a policy and its optimiser.

    Attributes:
        values_one_by_one: Whether it wants to be asked one by one for the values of what time limits cut off,
            as SB3 does: one row alone gives other bits than the same row among others. Else it is asked once
            for those of a whole rollout.
    """

    values_one_by_one: ClassVar[bool] = True

    @abstractmethod
    def act(self, observations: Observations, masks: Array | None, recall: Recall | None) -> Decision:
        """Choose actions at random, one for each environment."""

    @abstractmethod
    def values(self, observations: Observations, recall: Recall | None) -> NDArray[np.float32]:
        """Estimate the returns of observations `(n, ...)`, `(n,)`."""

    @abstractmethod
    def reset_noise(self, count: int) -> None:
        """Draw new exploration matrices for gSDE, one for each environment."""

    @abstractmethod
    def update(self, rollout: Rollout, sizes: StepSizes) -> UpdateStatistics:
        """Improve the policy on a rollout."""

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """Give a copy of the weights by canonical name."""

    @abstractmethod
    def optimizer(self) -> OptimizerState:
        """Give a copy of the optimiser's state."""
