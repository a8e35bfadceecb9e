"""An engine for multi-layer perceptrons that is many times faster than SB3, and learns as well.

It computes what SB3 computes, in another order, so that the last bits differ; after some updates the
trainings take other ways, as two machines with SB3 do. With one seed on one machine it gives one set of bits.
All its random numbers are NumPy's global ones.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, OptimizerState, PolicySpec
from sb3port.families.activations import parse_activation
from sb3port.networks.weights import policy_tensors
from sb3port.ppo.engines.base import Decision, Engine, Learner, Recall, StepSizes, UpdateStatistics
from sb3port.ppo.engines.fast.arithmetic import Actions, Arithmetic, Kind, Sums, Transitions
from sb3port.ppo.engines.fast.features import Features
from sb3port.ppo.engines.fast.layout import Floats, Layout, Parameters
from sb3port.ppo.engines.together import normalised
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.environments import Observations

_NONE = np.zeros((0, 0), np.bool_)
_ROWS = 256  # how many rows are computed at once where no minibatch says more


class FastEngine(Engine):
    """A policy whose networks are plain, and its Adam.

    Args:
        learner: What it is made from; `fitting.unfit` finds nothing against it.
        compiled: Whether Numba computes, else NumPy.
    """

    values_one_by_one = False

    def __init__(self, learner: Learner, compiled: bool) -> None:
        spec, self._settings, self._learner = learner.spec, learner.share, learner
        self._tensors = policy_tensors(learner.policy)
        order = tuple(name for name, _ in learner.policy.named_parameters())
        layout = self._layout = self._make_layout(spec, compiled)
        self._parameters = Parameters(layout, self._tensors, learner.optimizer, order)
        self._actions, self._features = Actions.of(spec), Features(spec)
        self._arithmetic = self._make(learner, compiled)
        self._is_discrete = self._actions.kind in (Kind.CATEGORICAL, Kind.BERNOULLI)
        self._matrices: Array = np.zeros((0, 0, 0))
        self._squashes = self._actions.estimates_entropy
        self._learning_rate: float | None = None
        if self._actions.kind is Kind.STATE_DEPENDENT:
            self.reset_noise(1)

    def act(
        self, observations: Observations, masks: Array | None = None, recall: Recall | None = None
    ) -> Decision:
        """Choose actions at random; there is no memory."""
        assert recall is None
        rows, actions = self._features(observations), self._actions
        noise, matrices = self._noise(len(rows))
        allowed = _NONE if masks is None else masks
        drawn: Array
        drawn, values, log_probs = self._arithmetic.act(rows, noise, matrices, allowed)
        if self._squashes:
            log_probs -= _squashing(drawn)
            drawn = np.tanh(drawn)
        if self._is_discrete:
            chosen = drawn.astype(np.int64)
            drawn = chosen[:, 0] if actions.count == 1 and actions.kind is Kind.CATEGORICAL else chosen
        return Decision(drawn, values, log_probs)

    def values(self, observations: Observations, recall: Recall | None = None) -> NDArray[np.float32]:
        """Estimate the returns of observations `(n, ...)`, float32 `(n,)`."""
        assert recall is None
        return self._arithmetic.estimate(self._features(observations))

    def reset_noise(self, count: int) -> None:
        """Draw new exploration matrices for gSDE, one for each environment."""
        stds = self._arithmetic.deviations()
        self._matrices = np.random.standard_normal((count, *stds.shape)) * stds

    def update(self, rollout: Rollout, sizes: StepSizes) -> UpdateStatistics:
        """Improve the policy on a rollout, ending early when it diverges by more than 1.5 `target_kl`."""
        transitions, settings = self._gather(rollout), self._settings
        self._learning_rate = sizes.learning_rate
        epochs: list[Sums] = []
        diverged = False
        while len(epochs) < settings.n_epochs and not diverged:
            order = self._order(rollout.size)
            scaled = replace(transitions, advantages=normalised(transitions.advantages, order, self._learner))
            with np.errstate(all="ignore"):  # what diverges is named by who called
                sums, diverged = self._arithmetic.learn_epoch(
                    scaled, order, sizes, settings, self._learner.ranks
                )
            epochs.append(sums)
        self._arithmetic.refresh()
        squashing = float(_squashing(transitions.actions).mean()) if self._squashes else 0.0
        return self._statistics(epochs, squashing)

    def tensors(self) -> dict[str, Array]:
        """Give a copy of the weights by canonical name, buffers included."""
        return self._layout.get(self._parameters.weights)

    def optimizer(self) -> OptimizerState:
        """Give a copy of Adam's state."""
        return self._parameters.state(self._learning_rate)

    def _make_layout(self, spec: PolicySpec, compiled: bool) -> Layout:
        return Layout(spec, self._tensors, _lanes() if compiled else 1)

    def _order(self, size: int) -> NDArray[np.int64]:
        """Give all transitions in a random order, as SB3 does."""
        return np.random.permutation(size)

    def _gather(self, rollout: Rollout) -> Transitions:
        return self._transitions(rollout.by_environment())

    def _make(self, learner: Learner, compiled: bool) -> Arithmetic:
        parts = self._layout, self._parameters, self._actions, parse_activation(learner.spec.activation_fn)
        if compiled:
            from sb3port.ppo.engines.fast.numba_arithmetic import NumbaArithmetic

            return NumbaArithmetic(*parts, learner.share, max(_ROWS, learner.share.batch_size))
        from sb3port.ppo.engines.fast.numpy_arithmetic import NumpyArithmetic

        return NumpyArithmetic(*parts, learner.share)

    def _noise(self, count: int) -> tuple[Array, Array]:
        """Draw what actions of `count` environments are made of."""
        actions = self._actions
        if actions.kind is Kind.STATE_DEPENDENT:
            matrices = self._matrices
            if len(matrices) != count:  # fewer rows than there are environments, as in a test of one
                matrices = np.broadcast_to(matrices[:1], (count, *matrices.shape[1:])).copy()
            return np.zeros((count, actions.count)), matrices
        draw = np.random.standard_normal if actions.kind is Kind.GAUSSIAN else np.random.random_sample
        return draw((count, actions.count)), self._matrices

    def _transitions(self, flat: Rollout) -> Transitions:
        actions: Floats = flat.actions.reshape(flat.size, -1).astype(np.float32, copy=False)
        log_probs: Floats = flat.log_probs
        if self._squashes:
            actions = _unsquashed(actions)
            log_probs = log_probs + _squashing(actions)
        masks = _NONE if flat.masks is None else flat.masks
        rows = self._features(flat.observations)
        numbers = (flat.values, log_probs, flat.advantages, flat.returns)
        return Transitions(rows, actions, masks, *numbers)

    def _statistics(self, epochs: list[Sums], squashing: float) -> UpdateStatistics:
        """Give means over minibatches; SB3 logs the divergence of the last epoch alone."""
        found = np.sum([sums.found for sums in epochs], axis=0) / sum(sums.minibatches for sums in epochs)
        last = epochs[-1].found / epochs[-1].minibatches
        settings = self._settings
        loss = last[0] - settings.ent_coef * (last[2] + squashing) + settings.vf_coef * last[1]
        surrogate, value, entropy, outside = map(float, found[:4])
        divergence = float(last[4])
        return UpdateStatistics(
            surrogate, value, -entropy - squashing, divergence, outside, float(loss), len(epochs)
        )


def _lanes() -> int:
    from sb3port.ppo.engines.fast.numba_kernels import LANES

    return LANES


def _squashing(gaussian: Floats) -> Floats:
    """By how much tanh makes log-likelihoods smaller, `(B,)`: SB3's change of variables."""
    smaller: Floats = np.log(1 - np.tanh(gaussian) ** 2 + np.float32(1e-6)).sum(1)
    return smaller


def _unsquashed(actions: Floats) -> Floats:
    """The inverse of tanh, as SB3 computes it."""
    bound = np.float32(1) - np.finfo(np.float32).eps
    clipped = np.clip(actions, -bound, bound)
    gaussian: Floats = np.float32(0.5) * (np.log1p(clipped) - np.log1p(-clipped))
    return gaussian
