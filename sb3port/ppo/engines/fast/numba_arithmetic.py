"""The fast engine's arithmetic in kernels that Numba compiles once per machine, and keeps."""

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.families.activations import Activation
from sb3port.ppo.engines.base import StepSizes
from sb3port.ppo.engines.fast import numba_kernels as kernels
from sb3port.ppo.engines.fast.arithmetic import Actions, Arithmetic, Kind, Sums, Transitions
from sb3port.ppo.engines.fast.layout import Floats, Layout, Parameters, aligned
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.ranks.base import Ranks

_SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha


class NumbaArithmetic(Arithmetic):
    """Kernels, and the arrays that they work on.

    Args:
        layout: Of the parameters, with rows of outputs padded to `numba_kernels.LANES`.
        parameters: Weights and moments, which are changed in place.
        actions: What actions are drawn from.
        activation: One that `kernel_of` knows.
        settings: The hyperparameters.
        rows: How many rows are computed at once, at most.
    """

    def __init__(
        self,
        layout: Layout,
        parameters: Parameters,
        actions: Actions,
        activation: Activation,
        settings: Hyperparameters,
        rows: int,
    ) -> None:
        self._parameters, self._actions, self._settings, self._rows = parameters, actions, settings, rows
        table, ends = _table(layout)
        kernel = kernel_of(activation)
        assert kernel is not None
        kind, numbers = kernel
        self._net = (table, ends, (kind, *map(np.float32, numbers)))
        transposed = max(layer.outputs * (layer.inputs + kernels.LANES) for layer in layout.layers)
        flat = (parameters.weights, parameters.gradient, parameters.mean, parameters.square)
        self._arrays = (*flat, aligned(transposed))
        outputs = (aligned(rows * layout.columns) for _ in range(3))
        judged = np.zeros((2, rows))
        self._scratch = (*outputs, aligned(rows * layout.layers[0].inputs), (judged[0], judged[1]))
        self._head = self._make_head(layout)
        self._numbers = np.zeros(10)
        self._flags = settings.normalize_advantage, actions.estimates_entropy
        self.refresh()

    def _make_head(self, layout: Layout) -> tuple[object, ...]:
        actions, noise = self._actions, layout.noise
        chances, stds, slopes = (
            np.zeros((self._rows, int(actions.sizes.sum()) + 2 * actions.count)),
            np.zeros((0, 0)),
            np.zeros((0, 0)),
        )
        begin = -1
        if noise is not None:
            columns = noise.shape[0]
            begin = noise.begin
            if actions.kind is Kind.STATE_DEPENDENT:
                stds, slopes = np.zeros((actions.count, columns)), np.zeros((noise.shape[1], columns))
            else:
                stds, slopes = np.zeros((1, columns)), np.zeros((1, columns))
        return int(actions.kind), actions.sizes, stds, chances, (begin, np.zeros_like(stds), slopes)

    def act(
        self, rows: Floats, noise: NDArray[np.float64], matrices: NDArray[np.float64], masks: Array
    ) -> tuple[Floats, Floats, Floats]:
        """Draw actions `(n, A)`, and give values and log-likelihoods, each `(n,)`."""
        count = len(rows)
        actions = np.empty((count, self._actions.count), np.float32)
        values, log_probs = np.empty(count, np.float32), np.empty(count, np.float32)
        for begin in range(0, count, self._rows):  # the kernels have no room for more
            part = slice(begin, begin + self._rows)
            kernels.act(
                self._net,
                self._arrays,
                self._scratch,
                self._head,
                rows[part].reshape(-1),
                noise[part],
                matrices[part],
                masks[part],
                actions[part],
                values[part],
                log_probs[part],
            )
        return actions, values, log_probs

    def estimate(self, rows: Floats) -> Floats:
        """Give values of rows `(n, features)`, `(n,)`."""
        values = np.empty(len(rows), np.float32)
        for begin in range(0, len(rows), self._rows):
            part = rows[begin : begin + self._rows].reshape(-1)
            kernels.estimate(self._net, self._arrays, self._scratch, part, values[begin : begin + self._rows])
        return values

    def refresh(self) -> None:
        """Compute the standard deviations from the weights."""
        if self._head[4][0] >= 0:  # type: ignore[index]
            kernels.refresh(self._head, self._parameters.weights, self._actions.expln)

    def deviations(self) -> NDArray[np.float64]:
        """Give the standard deviations: `(1, A)`, of gSDE's matrices `(A, H)`."""
        return self._head[2]  # type: ignore[return-value]

    def gradient(self, transitions: Transitions, chosen: NDArray[np.int64], sizes: StepSizes) -> Sums:
        """Compute the gradient of one minibatch's loss, into the parameters' flat array."""
        assert len(chosen) <= self._rows
        self.refresh()
        sums, rollout = Sums(minibatches=1), _rollout(transitions)
        kernels.compute_gradient(
            self._net,
            self._arrays,
            self._scratch,
            self._head,
            rollout,
            chosen,
            self._numbers_of(sizes),
            self._flags,
            sums.found,
        )
        return sums

    def descend(self, sizes: StepSizes) -> None:
        """Cut the gradient to `max_grad_norm`, and take a step of Adam."""
        self._parameters.steps += 1
        kernels.descend(self._arrays, self._numbers_of(sizes), self._parameters.steps)

    def learn_epoch(
        self,
        transitions: Transitions,
        order: NDArray[np.int64],
        sizes: StepSizes,
        settings: Hyperparameters,
        ranks: Ranks,
    ) -> tuple[Sums, bool]:
        """Do it in one call, where no other process has a say in it, and all weights move."""
        assert settings.batch_size <= self._rows
        if ranks.size > 1 or sizes.actor_frozen:
            return super().learn_epoch(transitions, order, sizes, settings, ranks)
        sums = Sums()
        sums.minibatches, diverged, self._parameters.steps = kernels.learn_epoch(
            self._net,
            self._arrays,
            self._scratch,
            self._head,
            _rollout(transitions),
            order,
            settings.batch_size,
            self._numbers_of(sizes),
            self._flags,
            self._parameters.steps,
            self._actions.expln,
            sums.found,
        )
        return sums, diverged

    def _numbers_of(self, sizes: StepSizes) -> NDArray[np.float64]:
        settings, (beta1, beta2) = self._settings, self._parameters.betas
        limit = -1.0 if sizes.clip_range_vf is None else sizes.clip_range_vf
        self._numbers[:] = (
            sizes.learning_rate,
            sizes.clip_range,
            limit,
            settings.ent_coef,
            settings.vf_coef,
            settings.max_grad_norm,
            beta1,
            beta2,
            self._parameters.epsilon,
            settings.target_kl or 0.0,
        )
        return self._numbers


def kernel_of(activation: Activation) -> tuple[int, tuple[float, float, float]] | None:
    """Give the kernel of an activation and its numbers, None where there is none."""
    given = activation.arguments
    alpha = float(given.get("alpha", 1.0))
    known = {
        "Tanh": (kernels.TANH, (0.0, 0.0, 0.0)),
        "ReLU": (kernels.PIECEWISE, (0.0, 0.0, 0.0)),
        "LeakyReLU": (kernels.PIECEWISE, (float(given.get("negative_slope", 0.01)), 0.0, 0.0)),
        "ELU": (kernels.EXPONENTIAL, (1.0, alpha, 1.0)),
        "CELU": (kernels.EXPONENTIAL, (1.0, alpha, 1.0 / alpha if alpha else 0.0)),
        "SELU": (kernels.EXPONENTIAL, (_SELU[0], _SELU[1], 1.0)),
        "Sigmoid": (kernels.SIGMOID, (0.0, 0.0, 0.0)),
        "SiLU": (kernels.SILU, (0.0, 0.0, 0.0)),
    }
    return known.get(activation.name)


def _table(layout: Layout) -> tuple[NDArray[np.int64], tuple[int, int, int, int]]:
    """Give the table of layers, and where shared layers, actor and critic end in it."""
    shared, actor, critic = len(layout.shared), len(layout.actor), len(layout.critic)
    rows = []
    for number, layer in enumerate(layout.layers):
        below = shared - 1 if number in (shared, shared + actor) else number - 1
        numbers = (layer.inputs, layer.outputs, layer.width, layer.weight, layer.bias, layer.column)
        rows.append((*numbers, layer.is_hidden, below))
    return np.array(rows, np.int64), (shared, shared + actor, shared + actor + critic, layout.columns)


def _rollout(transitions: Transitions) -> tuple[Array, ...]:
    return (
        transitions.rows.reshape(-1),
        transitions.actions,
        transitions.masks,
        transitions.values,
        transitions.log_probs,
        transitions.advantages,
        transitions.returns,
    )
