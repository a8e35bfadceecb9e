"""Where the weights of a recurrent policy lie: those of its LSTMs beside those of its perceptrons.

Actor and critic have LSTMs of the same shape, which read the same features: their weights lie side by side,
so that one product computes both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from typing_extensions import override

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.ppo.engines.fast.layout import Floats, Layer, Layout


@dataclass(frozen=True)
class LstmLayer:
    """A layer of G LSTMs with H units.

    Args:
        nets: Their names in SB3, G of them.
        number: Of the layer.
        inputs, hidden: How many features it reads, and H.
        begins: Where its arrays are in a flat one, by torch's names.
    """

    nets: tuple[str, ...]
    number: int
    inputs: int
    hidden: int
    begins: Mapping[str, int]

    def array(self, name: str, flat: Floats) -> Floats:
        """Give the view `(G, 4 * H, inputs or H)` of weights, `(G, 4 * H)` of biases."""
        shape = self.shapes(len(self.nets), self.inputs, self.hidden)[name]
        return flat[self.begins[name] : self.begins[name] + prod(shape)].reshape(shape)

    def views(self, flat: Floats) -> dict[str, Floats]:
        """Give views in torch's shapes, by SB3's names."""
        found = {}
        for name in self.begins:
            for net, view in zip(self.nets, self.array(name, flat), strict=True):
                found[f"{net}.{name}_l{self.number}"] = view
        return found

    @staticmethod
    def shapes(nets: int, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
        """Tell the shapes of a layer's arrays, by torch's names; gates are torch's: i, f, g, o."""
        weights = {"weight_ih": (nets, 4 * hidden, inputs), "weight_hh": (nets, 4 * hidden, hidden)}
        return weights | dict.fromkeys(("bias_ih", "bias_hh"), (nets, 4 * hidden))


class RecurrentLayout(Layout):
    """Where everything is.

    Args:
        spec: A recurrent policy.
        tensors: Its weights by canonical name.

    Attributes:
        lstm: The layers of the LSTMs, input side first; with one net where the critic has none of its own.
        linear: The critic's layer in place of an LSTM, or None.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        super().__init__(spec, tensors)
        nets = ("lstm_actor", "lstm_critic")[: 1 + spec.enable_critic_lstm]
        self.linear = self._linear(tensors) if "critic.weight" in tensors else None
        self.lstm = tuple(self._lstm(nets, number, tensors) for number in range(spec.n_lstm_layers))

    @override
    def _views(self, flat: Floats) -> dict[str, Floats]:
        views = super()._views(flat)
        for lstm in self.lstm:
            views |= lstm.views(flat)
        if self.linear is not None:
            views["critic.weight"] = self.linear.weights(flat).T
            views["critic.bias"] = self.linear.biases(flat)
        return views

    def _linear(self, tensors: Mapping[str, Array]) -> Layer:
        outputs, inputs = tensors["critic.weight"].shape
        weight, bias = self._take(inputs * outputs), self._take(outputs)
        return Layer("critic", inputs, outputs, outputs, weight, bias, self.columns, False)

    def _lstm(self, nets: tuple[str, ...], number: int, tensors: Mapping[str, Array]) -> LstmLayer:
        inputs = tensors[f"{nets[0]}.weight_ih_l{number}"].shape[1]
        hidden = tensors[f"{nets[0]}.weight_hh_l{number}"].shape[1]
        shapes = LstmLayer.shapes(len(nets), inputs, hidden)
        begins = {name: self._take(prod(shape)) for name, shape in shapes.items()}
        return LstmLayer(nets, number, inputs, hidden, begins)
