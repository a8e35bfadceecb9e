"""LSTMs of actor and critic, step by step through sequences, with gradients by hand.

    i, f, o = sigmoid(W_i x + U_i h + b_i), ...;  g = tanh(W_g x + U_g h + b_g)
    c' = f c + i g;  h' = o tanh(c')

Here a step is seven operations forward and six backward, for both nets and all sequences together, without
autograd: the products with the inputs, the gradients of the weights, and all that depends on one row alone
are computed for all steps at once. It is torch that computes, whose products of few rows are twice as fast
as NumPy's, and whose tanh and sigmoid are, too.

Source: `torch.nn.LSTM`, whose gates are in the order i, f, g, o.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sb3port.ppo.engines.fast.layout import Floats
from sb3port.ppo.engines.fast.lstm_layout import LstmLayer
from sb3port.ppo.engines.fast.sequences import Steps


class Lstm:
    """Layers of LSTMs, one after the other, of H units and G nets.

    Args:
        layers: Input side first.
        weights: All, flat.
        gradient: Where theirs go, flat.
    """

    def __init__(self, layers: Sequence[LstmLayer], weights: Floats, gradient: Floats) -> None:
        self._layers = [_Layer(layer, weights, gradient) for layer in layers]

    @torch.inference_mode()
    def forward(self, rows: Floats, steps: Steps, memory: Floats) -> Floats:
        """Compute outputs `(G, N, H)`, and keep what `backward` needs.

        Args:
            rows: Features in the order of `steps`, `(N, features)`.
            steps: Which rows follow one another.
            memory: States before the first steps of S sequences, `(S, 4, L, H)` as in `Rollout`.
        """
        states = torch.from_numpy(memory).permute(2, 1, 0, 3)
        flowing = torch.from_numpy(rows).expand(self._layers[0].nets, *rows.shape)
        for layer, state in zip(self._layers, states, strict=True):
            flowing = layer.forward(flowing, steps, state)
        found: Floats = flowing.numpy()
        return found

    @torch.inference_mode()
    def backward(self, gradient: Floats) -> None:
        """Write the gradients of the weights, given that of the outputs, `(G, N, H)`, which is used up."""
        flowing = torch.from_numpy(gradient)
        for layer in reversed(self._layers[1:]):
            flowing = torch.bmm(layer.backward(flowing), layer.of_inputs)
        self._layers[0].backward(flowing)


class _Layer:
    """One layer; `forward` keeps what `backward` needs."""

    def __init__(self, layer: LstmLayer, weights: Floats, gradient: Floats) -> None:
        self.nets, self._size = len(layer.nets), layer.hidden
        kept = {name: torch.from_numpy(layer.array(name, weights)) for name in layer.begins}
        self.of_inputs, self._of_hidden = kept["weight_ih"], kept["weight_hh"]
        self._biases = kept["bias_ih"].unsqueeze(1), kept["bias_hh"].unsqueeze(1)
        self._gradients = {name: torch.from_numpy(layer.array(name, gradient)) for name in layer.begins}

    def forward(self, rows: Tensor, steps: Steps, state: Tensor) -> Tensor:
        """Compute outputs `(G, N, H)` of rows `(G, N, inputs)`, from states `(4, S, H)`."""
        self._rows, self._steps = rows, steps
        count, of_hidden = steps.counts[0], self._of_hidden.transpose(1, 2)
        self._gates = torch.baddbmm(self._biases[0] + self._biases[1], rows, self.of_inputs.transpose(1, 2))
        self._candidates, self._squashed = self._gates.new_empty(2, self.nets, rows.shape[1], self._size)
        self._outputs, self._cells = self._begin(state, rows.shape[1])
        hidden, cell = self._outputs[:, :count], self._cells[:, :count]
        for now, inputs, forgets, raw, shows, good, tanh, output, after in self._views():
            if now.shape[1] < hidden.shape[1]:  # some sequences are over
                hidden, cell = hidden[:, : now.shape[1]], cell[:, : now.shape[1]]
            now.baddbmm_(hidden, of_hidden)
            torch.tanh(raw, out=good)
            now.sigmoid_()
            cell = torch.mul(forgets, cell, out=after).addcmul_(inputs, good)
            hidden = torch.mul(shows, torch.tanh(cell, out=tanh), out=output)
        return self._outputs[:, count:]

    def backward(self, gradient: Tensor) -> Tensor:
        """Write the gradients of the weights, given that of the outputs, which is used up.

        Returns:
            The gradient of what is in the gates, `(G, N, 4 * H)`.
        """
        of_gates, of_cells = self._slopes()
        steps, size = self._steps.counts, self._size
        of_cell_after, back = gradient.new_zeros(2, self.nets, steps[0], size)
        of_others, of_shows = of_gates[:, :, : 3 * size], of_gates[:, :, 3 * size :]
        forgetting = self._gates[:, :, size : 2 * size]
        arrays = gradient, of_gates, of_cells, of_others, of_shows, forgetting
        parts = [torch.split(array, steps, 1) for array in arrays]
        later = 0
        for index in range(len(steps) - 1, -1, -1):
            of_output, now, of_cell, others, shows, forgets = (part[index] for part in parts)
            number, down = steps[index], of_cell_after
            if number < steps[0]:
                down = down[:, :number]
            if later:
                of_output[:, :later].add_(back[:, :later])
            down.addcmul_(of_output, of_cell)
            shows.mul_(of_output)
            others.view(self.nets, number, 3, size).mul_(down.unsqueeze(2))
            down.mul_(forgets)
            if index:
                torch.bmm(now, self._of_hidden, out=back[:, :number])
            later = number
        self._write(of_gates)
        return of_gates

    def _begin(self, state: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """Make room for outputs and cells, each `(G, S + N, H)`, with the first states in it."""
        count = state.shape[1]
        room = state.new_empty(2, self.nets, count + rows, self._size)
        room[:, :, :count] = torch.stack([state[0::2], state[1::2]])[:, : self.nets]
        return room[0], room[1]

    def _views(self) -> "zip[tuple[Tensor, ...]]":
        """Give, step by step, views of all that is read and written."""
        steps, size, gates = self._steps.counts, self._size, self._gates
        parts = gates, *torch.split(gates, size, 2), self._candidates, self._squashed
        count = steps[0]
        after = self._outputs[:, count:], self._cells[:, count:]
        return zip(*(torch.split(part, steps, 1) for part in (*parts, *after)), strict=True)

    def _slopes(self) -> tuple[Tensor, Tensor]:
        """Give what gradients of a row are multiplied by, for all rows at once.

        Returns:
            From the output (o) or the cell (the others) to what is in the gates, `(G, N, 4 * H)`; and from
            the output to the cell, `(G, N, H)`.
        """
        inputs, _, _, shows = torch.split(self._gates, self._size, 2)
        good, squashed = self._candidates, self._squashed
        slopes = self._gates.addcmul(self._gates, self._gates, value=-1)
        of_inputs, of_forgets, of_candidates, of_shows = torch.split(slopes, self._size, 2)
        of_inputs.mul_(good)
        of_forgets.mul_(self._cells[:, self._before()])
        torch.sub(inputs, inputs * good * good, out=of_candidates)
        of_shows.mul_(squashed)
        return slopes, shows.addcmul(shows, squashed * squashed, value=-1)

    def _before(self) -> Tensor:
        return torch.from_numpy(self._steps.before)

    def _write(self, of_gates: Tensor) -> None:
        found, flipped = self._gradients, of_gates.transpose(1, 2)
        torch.bmm(flipped, self._rows, out=found["weight_ih"])
        torch.bmm(flipped, self._outputs[:, self._before()], out=found["weight_hh"])
        torch.sum(of_gates, 1, out=found["bias_ih"])
        found["bias_hh"].copy_(found["bias_ih"])
