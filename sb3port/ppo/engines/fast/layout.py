"""Where the weights of a multi-layer perceptron lie in flat arrays, and how they get there from SB3's names.

Weights are `(inputs, outputs)`, so that products run along the outputs; a row of outputs may be padded to a
multiple of what a processor multiplies at once. Padding is zero, and stays zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, OptimizerState, PolicySpec
from sb3port.ppo.engines.frozen import of_actor

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A linear layer.

    Args:
        name: As in SB3, without `.weight` and `.bias`.
        inputs, outputs: How many there are.
        width: Outputs, with padding.
        weight, bias: Where they begin in a flat array.
        column: How many outputs, with padding, the layers before have.
        is_hidden: Whether an activation follows.
    """

    name: str
    inputs: int
    outputs: int
    width: int
    weight: int
    bias: int
    column: int
    is_hidden: bool

    def weights(self, flat: Floats) -> Floats:
        """Give the view `(inputs, width)` of the weights."""
        return flat[self.weight : self.weight + self.inputs * self.width].reshape(self.inputs, self.width)

    def biases(self, flat: Floats) -> Floats:
        """Give the view `(width,)` of the biases."""
        return flat[self.bias : self.bias + self.width]


@dataclass(frozen=True)
class Noise:
    """`log_std`.

    Args:
        begin: Where it begins in a flat array.
        shape: As in SB3: `(A,)`, with gSDE `(H, A)` or `(H, 1)`.
    """

    begin: int
    shape: tuple[int, ...]

    def values(self, flat: Floats) -> Floats:
        """Give the view `(A,)`, with gSDE `(A, H)` or `(1, H)`."""
        view = flat[self.begin : self.begin + int(np.prod(self.shape))]
        return view.reshape(self.shape[::-1])


class Layout:
    """Where everything is.

    Args:
        spec: The policy.
        tensors: Its weights by canonical name.
        lanes: A row of outputs is padded to a multiple of this.

    Attributes:
        shared, actor, critic: The layers, input side first; the last of actor and critic are `action_net` and
            `value_net`.
        noise: Where `log_std` is, None without one.
        size: Of a flat array.
        columns: Outputs of all layers together, with padding.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array], lanes: int = 1) -> None:
        self.size = self.columns = 0
        self._lanes, self._tensors = lanes, tensors
        arch = spec.net_arch
        self.shared = self._hidden("shared_net", len(arch.shared))
        self.actor = (*self._hidden("policy_net", len(arch.pi)), self._layer("action_net", False))
        self.critic = (*self._hidden("value_net", len(arch.vf)), self._layer("value_net", False))
        self.noise = None
        if "log_std" in tensors:
            self.noise = Noise(self._take(tensors["log_std"].size), tensors["log_std"].shape)
        self.names = tuple(tensors)
        del self._tensors

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, in the order in which they lie."""
        return (*self.shared, *self.actor, *self.critic)

    def put(self, tensors: Mapping[str, Array], flat: Floats) -> None:
        """Write tensors, by canonical name, into a flat array; what has none stays as it is."""
        for name, view in self._views(flat).items():
            if name in tensors:
                view[...] = tensors[name]

    def get(self, flat: Floats) -> dict[str, Array]:
        """Give copies of the tensors in a flat array, by canonical name."""
        views = self._views(flat)
        return {name: np.ascontiguousarray(views[name], np.float32).copy() for name in self.names}

    def _views(self, flat: Floats) -> dict[str, Floats]:
        """Give views in SB3's shapes."""
        views = {}
        for layer in self.layers:
            views[f"{layer.name}.weight"] = layer.weights(flat)[:, : layer.outputs].T
            views[f"{layer.name}.bias"] = layer.biases(flat)[: layer.outputs]
        if self.noise is not None:
            views["log_std"] = self.noise.values(flat).T
        return views

    def _hidden(self, net: str, count: int) -> tuple[Layer, ...]:
        """Linear layers and activations take turns."""
        return tuple(self._layer(f"mlp_extractor.{net}.{2 * index}", True) for index in range(count))

    def _layer(self, name: str, is_hidden: bool) -> Layer:
        outputs, inputs = self._tensors[f"{name}.weight"].shape
        width, column = -(-outputs // self._lanes) * self._lanes, self.columns
        self.columns += width
        weight, bias = self._take(inputs * width), self._take(width)
        return Layer(name, inputs, outputs, width, weight, bias, column, is_hidden)

    def _take(self, size: int) -> int:
        """Make room, which begins at a multiple of 64 bytes."""
        begin = self.size
        self.size += -(-size // 16) * 16
        return begin


def aligned(size: int) -> Floats:
    """Give zeros that begin at a multiple of 64 bytes."""
    room = np.zeros(size + 16, np.float32)
    begin = -room.ctypes.data % 64 // 4
    return room[begin : begin + size]


def _places(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> NDArray[np.bool_]:
    """Tell where parameters of these names and shapes are in a flat array."""
    marks = np.zeros(layout.size, np.float32)
    layout.put({name: np.ones(shape, np.float32) for name, shape in shapes.items()}, marks)
    found: NDArray[np.bool_] = marks != 0
    return found


class Parameters:
    """Weights, gradients and Adam's moments of a policy, each as one flat array.

    Args:
        layout: Where everything is in them.
        tensors: The weights by canonical name.
        state: Adam's state.
        order: Canonical names of the parameters, by Adam's numbers.

    Attributes:
        weights, gradient, mean, square: The arrays.
        steps: How many steps Adam has done.
        of_actor: Where the weights are on which actions depend.
    """

    def __init__(
        self,
        layout: Layout,
        tensors: Mapping[str, Array],
        state: OptimizerState,
        order: tuple[str, ...],
    ) -> None:
        self._layout, self._order, self._group = layout, order, dict(state.group)
        self.weights, self.gradient, self.mean, self.square = (aligned(layout.size) for _ in range(4))
        layout.put(tensors, self.weights)
        self.of_actor = _places(layout, {name: tensors[name].shape for name in of_actor(order)})
        self.steps = 0
        if state.state:
            named = {order[number]: row for number, row in state.state.items()}
            self.steps = int(np.asarray(named[order[0]]["step"]))
            for moment, flat in self._moments().items():
                layout.put({name: np.asarray(row[moment]) for name, row in named.items()}, flat)

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's."""
        beta1, beta2 = self._group["betas"]
        return float(beta1), float(beta2)

    @property
    def epsilon(self) -> float:
        """Adam's."""
        return float(self._group["eps"])

    def state(self, learning_rate: float | None) -> OptimizerState:
        """Give a copy of Adam's state, with the learning rate of its last step."""
        group = self._group if learning_rate is None else {**self._group, "lr": learning_rate}
        if self.steps == 0:
            return OptimizerState(group, {}, len(self._order))
        moments = {moment: self._layout.get(flat) for moment, flat in self._moments().items()}
        rows = {
            number: {
                "step": np.array(self.steps, np.float32),
                **{moment: arrays[name] for moment, arrays in moments.items()},
            }
            for number, name in enumerate(self._order)
        }
        return OptimizerState(group, rows, len(rows))

    def _moments(self) -> dict[str, Floats]:
        return {"exp_avg": self.mean, "exp_avg_sq": self.square}
