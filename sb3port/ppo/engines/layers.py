"""A multi-layer perceptron with its gradients by hand, in the matrix products that autograd makes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_BACKWARD: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Tanh": torch.ops.aten.tanh_backward,
    "ReLU": lambda gradient, output: torch.ops.aten.threshold_backward(gradient, output, 0),
}
_FORWARD: dict[str, Callable[[Tensor], Tensor]] = {"Tanh": torch.tanh_, "ReLU": torch.relu_}
ACTIVATIONS = frozenset(_FORWARD)


class Layers:
    """Linear layers, an activation after each but the last.

    Args:
        names: Of the layers, without `.weight` and `.bias`, input side first.
        parameters: By name.
        gradients: Where theirs go.
        activation: One of `ACTIVATIONS`.
    """

    def __init__(
        self,
        names: Sequence[str],
        parameters: Mapping[str, Any],
        gradients: Mapping[str, Any],
        activation: str,
    ) -> None:
        def of(values: Mapping[str, Any]) -> list[tuple[Tensor, Tensor]]:
            return [(values[f"{name}.weight"], values[f"{name}.bias"]) for name in names]

        self._layers, self._gradients = of(parameters), of(gradients)
        self._transposed = [(weight.t(), bias) for weight, bias in self._layers]
        self._activate, self._deactivate = _FORWARD[activation], _BACKWARD[activation]
        self._inputs: list[Tensor] = []

    def forward(self, rows: Tensor) -> Tensor:
        """Compute the outputs of the last layer, and keep what `backward` needs."""
        inputs = [rows]
        *hidden, (weight, bias) = self._transposed
        for layer, offset in hidden:
            inputs.append(self._activate(torch.addmm(offset, inputs[-1], layer)))
        self._inputs = inputs
        return torch.addmm(bias, inputs[-1], weight)

    @property
    def latent(self) -> Tensor:
        """What the last layer got in the last `forward`."""
        return self._inputs[-1]

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of all layers, given that of the outputs."""
        for index in range(len(self._layers) - 1, -1, -1):
            inputs, (weight, bias) = self._inputs[index], self._gradients[index]
            torch.mm(gradient.t(), inputs, out=weight)
            torch.sum(gradient, 0, out=bias)
            if index:
                below = torch.mm(gradient, self._layers[index][0])
                gradient = self._deactivate(below, inputs)
