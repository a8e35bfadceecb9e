"""One step of LSTMs in NumPy, for acting: on few rows torch's overhead is more than what it computes."""

from collections.abc import Sequence

import numpy as np

from sb3port.ppo.engines.fast.layout import Floats
from sb3port.ppo.engines.fast.lstm_layout import LstmLayer

_LARGEST = np.float32(80)  # its exponential is not infinite yet


class LstmCells:
    """Layers of LSTMs of H units and G nets.

    Args:
        layers: Input side first.
        weights: All, flat.
    """

    def __init__(self, layers: Sequence[LstmLayer], weights: Floats) -> None:
        self._nets, self._size = len(layers[0].nets), layers[0].hidden
        self._layers = [_arrays(layer, weights) for layer in layers]

    def step(self, rows: Floats, memory: Floats) -> tuple[Floats, Floats]:
        """Take a step.

        Args:
            rows: Features of n environments, `(n, features)`.
            memory: The states before it, `(n, 4, L, H)` as in `Rollout`.

        Returns:
            Outputs `(G, n, H)`, and the states after it; one net gives its state twice, as in sb3-contrib.
        """
        after = np.empty_like(memory)
        for number in range(len(self._layers)):
            state = memory[:, : 2 * self._nets, number].swapaxes(0, 1)
            rows, cells = self._advance(number, rows, state[0::2], state[1::2])
            after[:, 0::2, number] = rows.swapaxes(0, 1)
            after[:, 1::2, number] = cells.swapaxes(0, 1)
        return rows, after

    def _advance(self, number: int, rows: Floats, hidden: Floats, cells: Floats) -> tuple[Floats, Floats]:
        of_inputs, of_hidden, *biases = self._layers[number]
        size, gates = self._size, np.matmul(rows, of_inputs)
        gates += np.matmul(hidden, of_hidden)
        for bias in biases:
            gates += bias
        candidates = np.tanh(gates[:, :, 2 * size : 3 * size])
        _sigmoid(gates)
        after = gates[:, :, size : 2 * size] * cells
        after += np.multiply(gates[:, :, :size], candidates, out=candidates)
        outputs = np.tanh(after)
        outputs *= gates[:, :, 3 * size :]
        return outputs, after


def _arrays(layer: LstmLayer, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    of_inputs, of_hidden = (layer.array(name, weights).swapaxes(1, 2) for name in ("weight_ih", "weight_hh"))
    first, second = (layer.array(name, weights)[:, None] for name in ("bias_ih", "bias_hh"))
    return of_inputs, of_hidden, first, second


def _sigmoid(numbers: Floats) -> None:
    """`1 / (1 + exp(-x))`, in place."""
    np.negative(numbers, out=numbers)
    np.exp(np.minimum(numbers, _LARGEST, out=numbers), out=numbers)
    numbers += np.float32(1)
    np.reciprocal(numbers, out=numbers)
