"""LSTMs of actor and critic as torch has them, over sequences that are padded to the longest one.

Torch's own is one call of oneDNN for all steps, forward and backward: where hardly a row is padding, it is
faster than going step by step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sb3port.ppo.engines.fast.layout import Floats
from sb3port.ppo.engines.fast.lstm_layout import LstmLayer
from sb3port.ppo.engines.fast.sequences import Steps


class PaddedLstm:
    """What `lstm.Lstm` is, with the same interface.

    Args:
        layers: Input side first.
        weights: All, flat.
        gradient: Where theirs go, flat.
    """

    def __init__(self, layers: Sequence[LstmLayer], weights: Floats, gradient: Floats) -> None:
        self._depth, nets = len(layers), range(len(layers[0].nets))
        self._weights = [_arrays(layers, weights, net) for net in nets]
        self._gradients = [_arrays(layers, gradient, net) for net in nets]
        for arrays in self._weights:
            for array in arrays:
                array.requires_grad_(True)
        self._rows = torch.zeros(0, dtype=torch.int64)
        self._outputs: list[Tensor] = []

    def forward(self, rows: Floats, steps: Steps, memory: Floats) -> Floats:
        """Compute outputs `(G, N, H)`, and keep what `backward` needs; see `lstm.Lstm.forward`."""
        counts, count = np.array(steps.counts), steps.counts[0]
        self._rows = torch.from_numpy(np.flatnonzero(np.arange(count) < counts[:, None]))
        inputs = torch.zeros(len(counts) * count, rows.shape[1])
        inputs[self._rows] = torch.from_numpy(rows)
        states = torch.from_numpy(memory).permute(1, 2, 0, 3).contiguous()
        self._outputs = [
            self._run(inputs.view(-1, count, rows.shape[1]), (states[2 * net], states[2 * net + 1]), arrays)
            for net, arrays in enumerate(self._weights)
        ]
        kept = torch.stack([output.detach()[self._rows] for output in self._outputs])
        found: Floats = kept.numpy()
        return found

    def backward(self, gradient: Floats) -> None:
        """Write the gradients of the weights, given that of the outputs, `(G, N, H)`."""
        for net, output in enumerate(self._outputs):
            down = torch.zeros(output.shape)
            down[self._rows] = torch.from_numpy(gradient[net])
            found = torch.autograd.grad(output, self._weights[net], down)
            for array, value in zip(self._gradients[net], found, strict=True):
                array.copy_(value)
        self._outputs = []

    def _run(self, inputs: Tensor, state: tuple[Tensor, Tensor], arrays: list[Tensor]) -> Tensor:
        """Give outputs, step by step, `(steps * S, H)`."""
        output, *_ = torch.lstm(
            inputs,
            state,
            arrays,
            has_biases=True,
            num_layers=self._depth,
            dropout=0.0,
            train=True,
            bidirectional=False,
            batch_first=False,
        )
        return output.flatten(0, 1)


def _arrays(layers: Sequence[LstmLayer], flat: Floats, net: int) -> list[Tensor]:
    """Give views of what one net has, in torch's order."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [torch.from_numpy(layer.array(name, flat)[net]) for layer in layers for name in names]
