"""The shapes of torch's layers, by the names of their tensors."""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from sb3port.checkpoint.checkpoint import Array

Shapes: TypeAlias = dict[str, tuple[int, ...]]

_WEIGHT = re.compile(r"(0|[1-9][0-9]{0,3})\.weight")


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    """`torch.nn.Linear`."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def conv(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    """`torch.nn.Conv2d` with a square kernel."""
    return {f"{name}.weight": (outputs, inputs, kernel, kernel), f"{name}.bias": (outputs,)}


def mlp(name: str, inputs: int, sizes: Sequence[int]) -> Shapes:
    """SB3's `create_mlp` without an output layer: every second module is an activation."""
    shapes: Shapes = {}
    for index, (before, after) in enumerate(zip((inputs, *sizes), sizes, strict=False)):
        shapes |= linear(f"{name}.{2 * index}", before, after)
    return shapes


def mlp_sizes(name: str, tensors: Mapping[str, Array]) -> tuple[int, ...]:
    """Tell the sizes that `mlp` was given from the tensors that it made."""
    layers = sorted(_numbers_below(name, tensors))
    weights = [tensors[f"{name}.{number}.weight"] for number in layers]
    return tuple(weight.shape[0] for weight in weights if weight.ndim == 2)


def _numbers_below(name: str, tensors: Mapping[str, Array]) -> list[int]:
    below = (tensor.removeprefix(f"{name}.") for tensor in tensors if tensor.startswith(f"{name}."))
    return [int(match[1]) for tensor in below if (match := _WEIGHT.fullmatch(tensor))]


def lstm(name: str, inputs: int, hidden: int, layers: int) -> Shapes:
    """`torch.nn.LSTM`, whose four gates are stacked."""
    shapes: Shapes = {}
    for layer in range(layers):
        width = hidden if layer else inputs
        shapes |= {f"{name}.weight_ih_l{layer}": (4 * hidden, width)}
        shapes |= {f"{name}.weight_hh_l{layer}": (4 * hidden, hidden)}
        shapes |= {f"{name}.{bias}_l{layer}": (4 * hidden,) for bias in ("bias_ih", "bias_hh")}
    return shapes


def under(prefix: str, shapes: Shapes) -> Shapes:
    """Put a module's tensors under its name."""
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}
