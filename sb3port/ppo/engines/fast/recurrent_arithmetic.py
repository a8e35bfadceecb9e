"""The fast engine's arithmetic for recurrent policies."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sb3port.families.activations import Activation
from sb3port.ppo.engines.base import StepSizes
from sb3port.ppo.engines.fast.arithmetic import Actions, Sums, Transitions
from sb3port.ppo.engines.fast.layout import Floats, Parameters
from sb3port.ppo.engines.fast.lstm import Lstm
from sb3port.ppo.engines.fast.lstm_cells import LstmCells
from sb3port.ppo.engines.fast.lstm_layout import RecurrentLayout
from sb3port.ppo.engines.fast.numpy_arithmetic import Chain, NumpyArithmetic
from sb3port.ppo.engines.fast.numpy_heads import Doubles
from sb3port.ppo.engines.fast.padded_lstm import PaddedLstm
from sb3port.ppo.engines.fast.sequences import Remembered, Steps, pack
from sb3port.ppo.hyperparameters import Hyperparameters

_LITTLE = 1.0  # rows of padding for each that is none; with more, torch's own LSTM is the slower one


class RecurrentArithmetic(NumpyArithmetic):
    """LSTMs below the perceptrons.

    Args:
        layout: Of the parameters.
        parameters: Weights and moments, which are changed in place.
        actions: What actions are drawn from.
        activation: One that has a slope.
        settings: The hyperparameters.

    Attributes:
        memory: States of n environments, `(n, 4, L, H)` as in `Rollout`, from which `act` and `estimate` go
            on, and then those after it.
    """

    def __init__(
        self,
        layout: RecurrentLayout,
        parameters: Parameters,
        actions: Actions,
        activation: Activation,
        settings: Hyperparameters,
    ) -> None:
        super().__init__(layout, parameters, actions, activation, settings)
        arrays = parameters.weights, parameters.gradient
        self._packed, self._padded = Lstm(layout.lstm, *arrays), PaddedLstm(layout.lstm, *arrays)
        self._lstm: Lstm | PaddedLstm = self._packed
        self._cells = LstmCells(layout.lstm, parameters.weights)
        self._nets, self._is_linear = len(layout.lstm[0].nets), layout.linear is not None
        self._actor = Chain(layout.actor, *arrays, activation, passes_down=True)
        below = () if layout.linear is None else (layout.linear,)
        self._critic = Chain((*below, *layout.critic), *arrays, activation, passes_down=self._nets == 2)
        self._steps: Steps | None = None  # of the minibatch; None while acting
        self.memory: Floats = np.zeros((0, 4, len(layout.lstm), layout.lstm[0].hidden), np.float32)

    @override
    def estimate(self, rows: Floats) -> Floats:
        """Give values of rows `(n, features)`, `(n,)`, a step after `memory`."""
        return self._forward(rows)[1]

    @override
    def gradient(self, transitions: Transitions, chosen: NDArray[np.int64], sizes: StepSizes) -> Sums:
        """Compute the gradient of one minibatch's loss; its rows are put in the order of their steps."""
        assert isinstance(transitions, Remembered)
        rows, self._steps = pack(chosen, transitions.begins)
        self._lstm = self._padded if self._steps.padding < _LITTLE else self._packed
        self.memory = transitions.memory[rows[: self._steps.counts[0]]]
        found = super().gradient(transitions, rows, sizes)
        self._steps = None
        return found

    @override
    def _forward(self, rows: Floats) -> tuple[Doubles, Floats]:
        if self._steps is None:
            latents, self.memory = self._cells.step(rows, self.memory)
        else:
            latents = self._lstm.forward(rows, self._steps, self.memory)
        outputs = self._actor.forward(latents[0])
        values = self._critic.forward(rows if self._is_linear else latents[-1])
        return outputs.astype(np.float64), values[:, 0]

    @override
    def _pass_down(self, of_latents: Sequence[Floats | None]) -> None:
        self._lstm.backward(np.stack([gradient for gradient in of_latents if gradient is not None]))
