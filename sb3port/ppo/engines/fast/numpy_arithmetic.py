"""The fast engine's arithmetic in NumPy alone: BLAS for the products, gradients by hand."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.families.activations import Activation
from sb3port.ppo.engines.base import StepSizes
from sb3port.ppo.engines.fast.arithmetic import Actions, Arithmetic, Sums, Transitions
from sb3port.ppo.engines.fast.layout import Floats, Layer, Layout, Parameters
from sb3port.ppo.engines.fast.numpy_activations import with_slope
from sb3port.ppo.engines.fast.numpy_heads import Doubles, make_head
from sb3port.ppo.hyperparameters import Hyperparameters


class NumpyArithmetic(Arithmetic):
    """Networks and Adam as operations of NumPy.

    Args:
        layout: Of the parameters, without padding.
        parameters: Weights and moments, which are changed in place.
        actions: What actions are drawn from.
        activation: One that has a slope.
        settings: The hyperparameters.
    """

    def __init__(
        self,
        layout: Layout,
        parameters: Parameters,
        actions: Actions,
        activation: Activation,
        settings: Hyperparameters,
    ) -> None:
        self._parameters, self._settings, self._actions = parameters, settings, actions
        arrays = parameters.weights, parameters.gradient, activation
        self._shared, *heads = (
            Chain(layers, *arrays, passes_down=passes_down)
            for layers, passes_down in (
                (layout.shared, False),
                (layout.actor, bool(layout.shared)),
                (layout.critic, bool(layout.shared)),
            )
        )
        self._actor, self._critic = heads
        noise = layout.noise
        views = [None if noise is None else noise.values(flat) for flat in arrays[:2]]
        self._head = make_head(actions, *views)
        self._scratch = np.empty((2, layout.size), np.float32)

    def act(
        self, rows: Floats, noise: NDArray[np.float64], matrices: NDArray[np.float64], masks: Array
    ) -> tuple[Floats, Floats, Floats]:
        """Draw actions `(n, A)`, and give values and log-likelihoods, each `(n,)`."""
        outputs, values = self._forward(rows)
        actions, log_probs = self._head.draw(outputs, self._actor.latents, noise, matrices, masks)
        return actions.astype(np.float32), values, log_probs.astype(np.float32)

    def estimate(self, rows: Floats) -> Floats:
        """Give values of rows `(n, features)`, `(n,)`."""
        return self._critic.forward(self._shared.forward(rows))[:, 0]

    def refresh(self) -> None:
        """Compute the standard deviations from the weights."""
        self._head.refresh()

    def deviations(self) -> NDArray[np.float64]:
        """Give the standard deviations: `(1, A)`, of gSDE's matrices `(A, H)`."""
        return self._head.stds

    def gradient(self, transitions: Transitions, chosen: NDArray[np.int64], sizes: StepSizes) -> Sums:
        """Compute the gradient of one minibatch's loss, into the parameters' flat array."""
        self._head.refresh()
        count, settings, masks = len(chosen), self._settings, transitions.masks
        outputs, values = self._forward(transitions.rows.take(chosen, 0))
        log_probs, entropy = self._head.evaluate(
            outputs,
            self._actor.latents,
            transitions.actions[chosen],
            masks[chosen] if len(masks) else masks,
        )
        advantages = _scaled(transitions.advantages[chosen], settings.normalize_advantage)
        log_ratio = log_probs - transitions.log_probs[chosen]
        ratio = np.exp(log_ratio)
        gain = advantages * ratio
        clipped = advantages * np.clip(ratio, 1 - sizes.clip_range, 1 + sizes.clip_range)
        of_log_prob, of_entropy = np.where(gain <= clipped, -gain, 0.0) / count, -settings.ent_coef / count
        if self._actions.estimates_entropy:
            entropy, of_log_prob, of_entropy = -log_probs, of_log_prob - of_entropy, 0.0
        old = transitions.values[chosen]
        error, inside = _errors(values, old, transitions.returns[chosen], sizes.clip_range_vf)
        of_actor = self._actor.backward(self._head.backward(of_log_prob, of_entropy).astype(np.float32))
        weight = np.float32(2 * settings.vf_coef / count)
        self._pass_down((of_actor, self._critic.backward((error * inside * weight)[:, None])))
        outside = (np.abs(ratio - 1) > sizes.clip_range).mean()
        divergence = (ratio - 1 - log_ratio).mean()
        surrogate = -np.minimum(gain, clipped).mean()
        square = np.dot(error, error) / count
        found = np.array([surrogate, square, entropy.mean(), outside, divergence, divergence], np.float64)
        return Sums(found, 1)

    def descend(self, sizes: StepSizes) -> None:
        """Cut the gradient to `max_grad_norm`, and take a step of Adam."""
        kept, (beta1, beta2), (scaled, spread) = self._parameters, self._parameters.betas, self._scratch
        kept.steps += 1
        total = float(np.dot(kept.gradient, kept.gradient)) ** 0.5
        np.multiply(
            kept.gradient,
            np.float32(min(1.0, self._settings.max_grad_norm / (total + 1e-6))),
            out=kept.gradient,
        )
        kept.mean *= np.float32(beta1)
        kept.mean += np.multiply(kept.gradient, np.float32(1 - beta1), out=scaled)
        kept.square *= np.float32(beta2)
        np.multiply(kept.gradient, kept.gradient, out=scaled)
        kept.square += np.multiply(scaled, np.float32(1 - beta2), out=scaled)
        np.sqrt(kept.square, out=spread)
        spread *= np.float32((1 - beta2**kept.steps) ** -0.5)
        spread += np.float32(kept.epsilon)
        np.divide(kept.mean, spread, out=scaled)
        scaled *= np.float32(sizes.learning_rate / (1 - beta1**kept.steps))
        kept.weights -= scaled

    def _pass_down(self, of_latents: Sequence[Floats | None]) -> None:
        """Write the gradients of what is below actor and critic, given those of what it gave."""
        of_actor, of_critic = of_latents
        if of_actor is not None and of_critic is not None:
            self._shared.backward(of_actor + of_critic)

    def _forward(self, rows: Floats) -> tuple[Doubles, Floats]:
        shared = self._shared.forward(rows)
        outputs, values = self._actor.forward(shared), self._critic.forward(shared)
        return outputs.astype(np.float64), values[:, 0]


class Chain:
    """Layers, one after the other; without any it gives what it gets.

    Args:
        layers: Input side first.
        weights: All, flat.
        gradient: Where theirs go, flat.
        activation: After each but the last of actor and critic.
        passes_down: Whether there are layers below, which want a gradient.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        weights: Floats,
        gradient: Floats,
        activation: Activation,
        passes_down: bool,
    ) -> None:
        self._layers = [(layer.weights(weights), layer.biases(weights), layer.is_hidden) for layer in layers]
        self._passes_down = passes_down
        self._gradients = [(layer.weights(gradient), layer.biases(gradient)) for layer in layers]
        self._activate = with_slope(activation)
        self._inputs: list[Floats] = []
        self._slopes: list[Floats | None] = []

    @property
    def latents(self) -> Floats:
        """What the last layer got in the last `forward`."""
        return self._inputs[-1]

    def forward(self, rows: Floats) -> Floats:
        """Compute the outputs of the last layer, and keep what `backward` needs."""
        self._inputs, self._slopes = [], []
        for weights, biases, is_hidden in self._layers:
            self._inputs.append(rows)
            rows = np.dot(rows, weights)
            rows += biases
            slopes = None
            if is_hidden:
                rows, slopes = self._activate(rows)
            self._slopes.append(slopes)
        return rows

    def backward(self, gradient: Floats) -> Floats | None:
        """Write the gradients of all layers, given that of the outputs, and give that of the inputs."""
        for index in range(len(self._layers) - 1, -1, -1):
            slopes, (weights, biases) = self._slopes[index], self._gradients[index]
            if slopes is not None:
                gradient *= slopes
            np.dot(self._inputs[index].T, gradient, out=weights)
            np.dot(_ones(len(gradient)), gradient, out=biases)
            if index or self._passes_down:
                gradient = np.dot(gradient, self._layers[index][0].T)
        return gradient if self._passes_down else None


@lru_cache(maxsize=4)
def _ones(count: int) -> Floats:
    """A row of ones, by which BLAS sums columns."""
    return np.ones(count, np.float32)


def _scaled(advantages: Floats, normalises: bool) -> Doubles:
    given: Doubles = advantages.astype(np.float64)
    if not normalises or len(given) < 2:
        return given
    given -= given.mean()
    given /= (np.dot(given, given) / (len(given) - 1)) ** 0.5 + 1e-8
    return given


def _errors(
    values: Floats, old: Floats, returns: Floats, limit: float | None
) -> tuple[Floats, Floats | np.float32]:
    """Give how far values, as the loss sees them, are off, and where they have a gradient."""
    if limit is None:
        return values - returns, np.float32(1)
    moved, bound = values - old, np.float32(limit)
    return old + np.clip(moved, -bound, bound) - returns, (np.abs(moved) <= bound).astype(np.float32)
