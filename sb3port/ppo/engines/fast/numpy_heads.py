"""Distributions over actions in NumPy, with gradients by hand; in float64, which few numbers cost little.

The formulas are those of SB3's and sb3-contrib's distributions. Everything is of B rows; A is the number of
elements of an action.
"""

import math
from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sb3port.checkpoint.checkpoint import Array
from sb3port.ppo.engines.fast.arithmetic import Actions, Kind
from sb3port.ppo.engines.fast.layout import Floats

Doubles: TypeAlias = NDArray[np.float64]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_EPSILON = 1e-6  # of gSDE
_FORBIDDEN = -1e8  # sb3-contrib's logit


class Head(ABC):
    """What a type of action space does with the outputs of `action_net`.

    `evaluate` keeps what `backward` needs.

    Attributes:
        stds: Standard deviations, `(1, A)`, of gSDE's matrices `(A, H)`; empty where there are none.
    """

    stds: Doubles = np.zeros((0, 0))

    def refresh(self) -> None:  # noqa: B027 (most have nothing to compute)
        """Take in parameters that have changed."""

    @abstractmethod
    def draw(
        self, outputs: Doubles, latents: Floats, noise: Doubles, matrices: Doubles, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Draw actions `(B, A)`, and give their log-likelihoods in nats, `(B,)`."""

    @abstractmethod
    def evaluate(
        self, outputs: Doubles, latents: Floats, actions: Floats, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Give log-likelihoods and entropies in nats, each `(B,)`."""

    @abstractmethod
    def backward(self, of_log_prob: Doubles, of_entropy: float) -> Doubles:
        """Give the gradient of the outputs, and write that of `log_std`.

        Args:
            of_log_prob: Of the log-likelihoods, `(B,)`.
            of_entropy: Of every row's entropy.
        """


class GaussianHead(Head):
    """Independent Gaussians.

    Args:
        log_std: The parameter, a view `(A,)`.
        gradient: Where its gradient goes.
    """

    def __init__(self, log_std: Floats, gradient: Floats) -> None:
        self._log_std, self._gradient = log_std, gradient
        self.refresh()

    @override
    def refresh(self) -> None:
        """Compute the standard deviations from the parameter."""
        self._log_stds = self._log_std.astype(np.float64)
        self.stds = np.exp(self._log_stds)[None]
        self._constant = float(self._log_stds.sum()) + len(self._log_std) * _HALF_LOG_2PI

    @override
    def draw(
        self, outputs: Doubles, latents: Floats, noise: Doubles, matrices: Doubles, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Draw actions `(B, A)`, and give their log-likelihoods in nats, `(B,)`."""
        return outputs + noise * self.stds, -0.5 * (noise * noise).sum(1) - self._constant

    @override
    def evaluate(
        self, outputs: Doubles, latents: Floats, actions: Floats, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Give log-likelihoods and entropies in nats, each `(B,)`."""
        self._distance = (actions - outputs) / self.stds
        self._squares = self._distance * self._distance
        entropy = self._constant + 0.5 * len(self._log_std)
        return -0.5 * self._squares.sum(1) - self._constant, np.full(len(outputs), entropy)

    @override
    def backward(self, of_log_prob: Doubles, of_entropy: float) -> Doubles:
        """Give the gradient of the outputs, `(B, n)`, and write that of `log_std` where there is one."""
        rows = of_log_prob[:, None]
        self._gradient[:] = (rows * (self._squares - 1)).sum(0) + of_entropy * len(rows)
        return rows * self._distance / self.stds


class StateDependentHead(Head):
    """GSDE: variances `latent**2 @ std**2`.

    Args:
        log_std: The parameter, a view `(A, H)`, or `(1, H)` for all elements of an action.
        gradient: Where its gradient goes.
        count: A.
        expln: Whether deviations grow slowly.
    """

    def __init__(self, log_std: Floats, gradient: Floats, count: int, expln: bool) -> None:
        self._log_std, self._gradient, self._count, self._expln = log_std, gradient, count, expln
        self.refresh()

    @override
    def refresh(self) -> None:
        """Compute the standard deviations from the parameter."""
        given = self._log_std.astype(np.float64)
        stds = slopes = np.exp(np.minimum(given, 0) if self._expln else given)
        if self._expln:
            above = np.maximum(given, 0) + _EPSILON
            stds = np.where(given > 0, np.log1p(above) + 1, stds)
            slopes = np.where(given > 0, 1 / (1 + above), slopes)
        self.stds = np.broadcast_to(stds, (self._count, given.shape[1]))
        self._squared, self._slopes = (self.stds**2).T, slopes

    @override
    def draw(
        self, outputs: Doubles, latents: Floats, noise: Doubles, matrices: Doubles, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Draw actions `(B, A)`, and give their log-likelihoods in nats, `(B,)`."""
        moved = np.matmul(matrices, latents.astype(np.float64)[:, :, None])[:, :, 0]
        variance = self._variance(latents)
        terms = -0.5 * (moved * moved / variance + np.log(variance)) - _HALF_LOG_2PI
        return outputs + moved, terms.sum(1)

    @override
    def evaluate(
        self, outputs: Doubles, latents: Floats, actions: Floats, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Give log-likelihoods and entropies in nats, each `(B,)`."""
        self._variances = self._variance(latents)
        self._distance = actions - outputs
        self._squares = self._distance**2 / self._variances
        logarithms = 0.5 * np.log(self._variances) + _HALF_LOG_2PI
        return (-0.5 * self._squares - logarithms).sum(1), (logarithms + 0.5).sum(1)

    @override
    def backward(self, of_log_prob: Doubles, of_entropy: float) -> Doubles:
        """Give the gradient of the outputs, `(B, n)`, and write that of `log_std` where there is one."""
        rows = of_log_prob[:, None]
        of_variance = (rows * (self._squares - 1) + of_entropy) * 0.5 / self._variances
        of_squares = of_variance.T @ self._latent_squared
        through = of_squares * 2 * self.stds
        if len(self._log_std) < self._count:
            through = through.sum(0, keepdims=True)
        self._gradient[:] = through * self._slopes
        return rows * self._distance / self._variances

    def _variance(self, latents: Floats) -> Doubles:
        self._latent_squared = np.square(latents, dtype=np.float64)
        return self._latent_squared @ self._squared + _EPSILON


class CategoricalHead(Head):
    """One choice for each element of an action, some of which may be forbidden.

    Args:
        sizes: How many choices each has, `(A,)`.
    """

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        self._begins = [0, *np.cumsum(sizes).tolist()]

    @override
    def draw(
        self, outputs: Doubles, latents: Floats, noise: Doubles, matrices: Doubles, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Draw actions `(B, A)`, and give their log-likelihoods in nats, `(B,)`."""
        rows, columns, log_probs = np.arange(len(outputs)), [], np.zeros(len(outputs))
        for index, (part, _) in enumerate(self._parts(outputs, masks)):
            chances = np.exp(part)
            below = np.cumsum(chances, 1)
            # Rounding may leave the last sum short of 1, and of what is forbidden nothing may be drawn.
            chosen = (below <= noise[:, index : index + 1] * below[:, -1:]).sum(1)
            columns.append(chosen)
            log_probs += part[rows, chosen]
        return np.stack(columns, 1).astype(np.float64), log_probs

    @override
    def evaluate(
        self, outputs: Doubles, latents: Floats, actions: Floats, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Give log-likelihoods and entropies in nats, each `(B,)`."""
        rows, self._kept = np.arange(len(outputs)), []
        log_probs, entropies = np.zeros(len(outputs)), np.zeros(len(outputs))
        for column, (part, allowed) in zip(actions.T, self._parts(outputs, masks), strict=True):
            taken, chances = column.astype(np.int64), np.exp(part)
            terms = part * chances if allowed is None else np.where(allowed, part * chances, 0)
            entropy = -terms.sum(1)
            log_probs += part[rows, taken]
            entropies += entropy
            self._kept.append((taken, part, chances, entropy, allowed))
        return log_probs, entropies

    @override
    def backward(self, of_log_prob: Doubles, of_entropy: float) -> Doubles:
        """Give the gradient of the outputs, `(B, n)`, and write that of `log_std` where there is one."""
        rows, result = np.arange(len(of_log_prob)), []
        for taken, part, chances, entropy, allowed in self._kept:
            gradient = -of_log_prob[:, None] * chances
            gradient[rows, taken] += of_log_prob
            if of_entropy:
                gradient -= of_entropy * chances * (part + entropy[:, None])
            result.append(gradient if allowed is None else np.where(allowed, gradient, 0))
        return np.concatenate(result, 1)

    def _parts(self, outputs: Doubles, masks: Array) -> list[tuple[Doubles, Array | None]]:
        """Give the logarithms of the probabilities of each choice, and which are allowed."""
        found = []
        for begin, end in zip(self._begins, self._begins[1:], strict=False):
            logits, allowed = outputs[:, begin:end], None
            if len(masks):
                allowed = masks[:, begin:end]
                logits = np.where(allowed, _normalised(logits), _FORBIDDEN)
            found.append((_normalised(logits), allowed))
        return found


class BernoulliHead(Head):
    """Independent bits."""

    @override
    def draw(
        self, outputs: Doubles, latents: Floats, noise: Doubles, matrices: Doubles, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Draw actions `(B, A)`, and give their log-likelihoods in nats, `(B,)`."""
        actions = (noise < _chance(outputs)).astype(np.float64)
        return actions, (outputs * actions - np.logaddexp(0, outputs)).sum(1)

    @override
    def evaluate(
        self, outputs: Doubles, latents: Floats, actions: Floats, masks: Array
    ) -> tuple[Doubles, Doubles]:
        """Give log-likelihoods and entropies in nats, each `(B,)`."""
        self._logits, self._actions, self._chances = outputs, actions, _chance(outputs)
        softplus = np.logaddexp(0, outputs)
        return (outputs * actions - softplus).sum(1), (softplus - outputs * self._chances).sum(1)

    @override
    def backward(self, of_log_prob: Doubles, of_entropy: float) -> Doubles:
        """Give the gradient of the outputs, `(B, n)`, and write that of `log_std` where there is one."""
        spread = self._chances * (1 - self._chances)
        return of_log_prob[:, None] * (self._actions - self._chances) - of_entropy * self._logits * spread


def make_head(actions: Actions, log_std: Floats | None, gradient: Floats | None) -> Head:
    """Make the head of a policy, with views of `log_std` and of its gradient, as of `layout.Noise`."""
    if actions.kind is Kind.CATEGORICAL:
        return CategoricalHead(actions.sizes)
    if actions.kind is Kind.BERNOULLI:
        return BernoulliHead()
    assert log_std is not None
    assert gradient is not None
    if actions.kind is Kind.GAUSSIAN:
        return GaussianHead(log_std, gradient)
    return StateDependentHead(log_std, gradient, actions.count, actions.expln)


def _normalised(logits: Doubles) -> Doubles:
    top: Doubles = logits.max(1, keepdims=True)
    divisor: Doubles = top + np.log(np.exp(logits - top).sum(1, keepdims=True))
    return logits - divisor


def _chance(logits: Doubles) -> Doubles:
    return (1 + np.tanh(logits / 2)) / 2
