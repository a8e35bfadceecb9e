"""What the fast engine asks of NumPy or Numba, and in which form it gives it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from sb3port.ppo.engines.base import StepSizes
from sb3port.ppo.engines.fast.layout import Floats, Parameters
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.ranks.base import Ranks


class Kind(IntEnum):
    """What outputs of `action_net` are: the numbers are those that `numba_kernels` has."""

    GAUSSIAN = 0
    STATE_DEPENDENT = 1
    CATEGORICAL = 2
    BERNOULLI = 3


@dataclass(frozen=True)
class Actions:
    """What actions are drawn from.

    Args:
        kind: Of the distribution.
        count: Elements of an action, A.
        sizes: How many choices each element has, `(A,)`; 0 where it is no choice.
        expln: Whether gSDE's deviations grow slowly.
        estimates_entropy: Whether the entropy has no formula, as that of squashed gSDE.
    """

    kind: Kind
    count: int
    sizes: NDArray[np.int64]
    expln: bool = False
    estimates_entropy: bool = False

    @classmethod
    def of(cls, spec: PolicySpec) -> "Actions":
        """Tell what a policy draws from."""
        space = spec.action_space
        match space:
            case Box():
                kind = Kind.STATE_DEPENDENT if spec.use_sde else Kind.GAUSSIAN
                squashed = spec.use_sde and spec.squash_output
                count = math.prod(space.shape)
                return cls(kind, count, np.zeros(count, np.int64), spec.use_sde and spec.use_expln, squashed)
            case MultiBinary() if not spec.maskable:
                return cls(Kind.BERNOULLI, space.shape[0], np.zeros(space.shape[0], np.int64))
            case Discrete():
                sizes = [space.n]
            case MultiDiscrete():
                sizes = space.nvec.tolist()
            case MultiBinary():
                sizes = [2] * space.shape[0]
        return cls(Kind.CATEGORICAL, len(sizes), np.array(sizes, np.int64))


@dataclass(frozen=True)
class Transitions:
    """A rollout of N transitions, one environment after the other.

    Args:
        rows: What the first layer reads, `(N, features)`.
        actions: float32 `(N, A)`, of squashed gSDE before they were squashed.
        masks: Which choices are allowed, bool `(N, choices)`, or `(0, 0)`.
        values, log_probs, advantages, returns: As in `Rollout`, `(N,)`; the log-likelihoods are those of
            `actions`.
    """

    rows: Floats
    actions: Floats
    masks: NDArray[np.bool_]
    values: Floats
    log_probs: Floats
    advantages: Floats
    returns: Floats


@dataclass
class Sums:
    """What SB3 logs of an update, summed over minibatches.

    Args:
        found: Surrogate, value loss, entropy, share outside of the clip range, divergence, and the last
            minibatch's divergence.
        minibatches: How many were begun.
    """

    found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(6))
    minibatches: int = 0


class Arithmetic(ABC):
    """The policy's networks and Adam.

    An implementation holds `layout.Parameters`, and computes what `engine.FastEngine` asks for.
    """

    _parameters: Parameters

    @abstractmethod
    def act(
        self, rows: Floats, noise: NDArray[np.float64], matrices: NDArray[np.float64], masks: Array
    ) -> tuple[Floats, Floats, Floats]:
        """Draw actions.

        Args:
            rows: What the first layer reads, `(n, features)`.
            noise: `(n, A)`: standard normal for Gaussians, uniform for choices.
            matrices: gSDE's, of each row, `(n, A, H)`; else `(0, 0, 0)`.
            masks: Which choices are allowed, bool `(n, choices)`, or `(0, 0)`.

        Returns:
            Actions `(n, A)`, values and log-likelihoods, each `(n,)`.
        """

    @abstractmethod
    def estimate(self, rows: Floats) -> Floats:
        """Give values of rows `(n, features)`, `(n,)`."""

    @abstractmethod
    def refresh(self) -> None:
        """Compute what follows from the weights, after these have changed."""

    @abstractmethod
    def deviations(self) -> NDArray[np.float64]:
        """Give the standard deviations: `(1, A)`, of gSDE's matrices `(A, H)`."""

    @abstractmethod
    def gradient(self, transitions: Transitions, chosen: NDArray[np.int64], sizes: StepSizes) -> Sums:
        """Compute the gradient of one minibatch's loss, into the parameters' flat array."""

    @abstractmethod
    def descend(self, sizes: StepSizes) -> None:
        """Cut the gradient to `max_grad_norm`, and take a step of Adam."""

    def learn_epoch(
        self,
        transitions: Transitions,
        order: NDArray[np.int64],
        sizes: StepSizes,
        settings: Hyperparameters,
        ranks: Ranks,
    ) -> tuple[Sums, bool]:
        """Go through transitions in an order, with a step of Adam for each minibatch.

        Args:
            transitions: What to learn from.
            order: Their numbers.
            sizes: The values of the schedules.
            settings: This process's share of the hyperparameters.
            ranks: Who learns together, by the mean of the gradients of all.

        Returns:
            What was seen, and whether the policy diverged too far, so that no step followed the last one.
        """
        total = Sums()
        for begin in range(0, len(order), settings.batch_size):
            one = self.gradient(transitions, order[begin : begin + settings.batch_size], sizes)
            total.found[:5] += one.found[:5]
            (total.found[5],) = ranks.mean(self._parameters.gradient, one.found[4])
            total.minibatches += 1
            if settings.target_kl is not None and total.found[5] > 1.5 * settings.target_kl:
                return total, True
            self._descend(sizes)
        return total, False

    def _descend(self, sizes: StepSizes) -> None:
        """Take a step of Adam; the weights of an actor that is frozen stay where they are."""
        kept = self._parameters
        before = kept.weights.copy() if sizes.actor_frozen else None
        self.descend(sizes)
        if before is not None:
            np.copyto(kept.weights, before, where=kept.of_actor)
