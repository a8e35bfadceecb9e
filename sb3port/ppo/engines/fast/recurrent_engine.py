"""The fast engine for recurrent policies: LSTMs over whole sequences, padded or not as is faster."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.families.activations import parse_activation
from sb3port.ppo.engines.base import Decision, Learner, Recall
from sb3port.ppo.engines.fast.arithmetic import Transitions
from sb3port.ppo.engines.fast.engine import FastEngine
from sb3port.ppo.engines.fast.lstm_layout import RecurrentLayout
from sb3port.ppo.engines.fast.recurrent_arithmetic import RecurrentArithmetic
from sb3port.ppo.engines.fast.sequences import Remembered, beginnings
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.environments import Observations


class RecurrentEngine(FastEngine):
    """A policy with LSTMs, and its Adam.

    Args:
        learner: What it is made from; `fitting.unfit` finds nothing against it.
    """

    _arithmetic: RecurrentArithmetic
    _layout: RecurrentLayout

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner, compiled=False)

    @override
    def act(
        self, observations: Observations, masks: Array | None = None, recall: Recall | None = None
    ) -> Decision:
        """Choose actions at random, from what is remembered."""
        self._recall(recall)
        found = super().act(observations, masks)
        return Decision(found.actions, found.values, found.log_probs, self._arithmetic.memory)

    @override
    def values(self, observations: Observations, recall: Recall | None = None) -> NDArray[np.float32]:
        """Estimate the returns of observations `(n, ...)`, float32 `(n,)`, from what is remembered."""
        self._recall(recall)
        return super().values(observations)

    def _recall(self, recall: Recall | None) -> None:
        assert recall is not None
        self._arithmetic.memory = recall.memory * (1 - recall.starts)[:, None, None, None]

    @override
    def _make_layout(self, spec: PolicySpec, compiled: bool) -> RecurrentLayout:
        return RecurrentLayout(spec, self._tensors)

    @override
    def _make(self, learner: Learner, compiled: bool) -> RecurrentArithmetic:
        activation = parse_activation(learner.spec.activation_fn)
        return RecurrentArithmetic(self._layout, self._parameters, self._actions, activation, learner.share)

    @override
    def _order(self, size: int) -> NDArray[np.int64]:
        """Give all transitions in their order, but from a random one on, as sb3-contrib does."""
        return np.roll(np.arange(size), -np.random.randint(size))

    @override
    def _gather(self, rollout: Rollout) -> Transitions:
        flat = rollout.by_environment()
        assert flat.memory is not None
        memory = flat.memory * (1 - flat.starts)[:, None, None, None]
        return Remembered(**vars(super()._gather(rollout)), begins=beginnings(rollout), memory=memory)
