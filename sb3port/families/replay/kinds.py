"""The kinds of networks that these policies are made of: which tensors each has, and what they tell.

Layers are SB3's `create_mlp`, whose numbers count every module: with CrossQ's `BatchRenorm` before each layer
they are 1, 4, 7, ..., without 0, 2, 4, ... (`stable_baselines3/common/torch_layers.py`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sb3port.checkpoint.checkpoint import Array, NetArch, ReplaySpec
from sb3port.checkpoint.spaces import Box, Discrete, Space
from sb3port.families.base import Kind
from sb3port.families.layers import Shapes, linear

_LAYER = re.compile(r"(0|[1-9][0-9]{0,3})\.weight")
_NORM = ("scale", "bias", "ra_mean", "ra_var")
COUNTED = "steps"
"""The one tensor of a BatchRenorm that is no float: how many batches it has seen."""
STATISTICS = ("ra_mean", "ra_var", COUNTED)
"""Those of a BatchRenorm that no optimiser changes."""


@dataclass(frozen=True)
class Layer:
    """A Linear of a row of layers, and what is before it.

    Args:
        name: Of the Linear.
        norm: Of the BatchRenorm before it, "" for none.
    """

    name: str
    norm: str


def layers(name: str, count: int, batch_norm: bool) -> list[Layer]:
    """Name the layers of `create_mlp`.

    Args:
        name: Of the `Sequential`.
        count: How many there are.
        batch_norm: Whether a BatchRenorm is before each.
    """
    step = 3 if batch_norm else 2
    numbers = range(0, step * count, step)
    return [
        Layer(f"{name}.{number + batch_norm}", f"{name}.{number}" if batch_norm else "") for number in numbers
    ]


def last_norm(name: str, count: int) -> str:
    """Name the BatchRenorm that CrossQ's actor has behind its layers."""
    return f"{name}.{3 * count}"


def _sequence(name: str, widths: Sequence[int], spec: ReplaySpec) -> Shapes:
    shapes: Shapes = {}
    named = layers(name, len(widths) - 1, spec.batch_norm)
    for layer, before, after in zip(named, widths, widths[1:], strict=False):
        shapes |= _norm(layer.norm, before) if layer.norm else {}
        both = linear(layer.name, before, after)
        shapes |= both if spec.with_bias else {f"{layer.name}.weight": both[f"{layer.name}.weight"]}
    return shapes


def _norm(name: str, width: int) -> Shapes:
    return {**{f"{name}.{part}": (width,) for part in _NORM}, f"{name}.{COUNTED}": ()}


def _widths(name: str, tensors: Mapping[str, Array]) -> tuple[int, ...]:
    """Tell what each Linear of a `Sequential` gives."""
    below = {n.removeprefix(f"{name}."): a for n, a in tensors.items() if n.startswith(f"{name}.")}
    found = {int(match[1]): below[n] for n in below if (match := _LAYER.fullmatch(n))}
    return tuple(found[number].shape[0] for number in sorted(found) if found[number].ndim == 2)


def _size(space: Space) -> int:
    return space.n if isinstance(space, Discrete) else getattr(space, "size", 0)


def _gaussian_shapes(spec: ReplaySpec, features: int) -> Shapes:
    actions, widths = _size(spec.action_space), (features, *spec.net_arch.pi)
    latent = widths[-1]
    noisy = latent if spec.sde_net_arch is None else (features, *spec.sde_net_arch)[-1]
    shapes: Shapes = {"log_std": (noisy, actions if spec.full_std else 1)} if spec.use_sde else {}
    shapes |= _sequence("latent_pi", widths, spec)
    if spec.batch_norm and spec.net_arch.pi:
        shapes |= _norm(last_norm("latent_pi", len(spec.net_arch.pi)), latent)
    shapes |= _sequence("sde_features_extractor", (features, *(spec.sde_net_arch or ())), spec)
    clips = spec.use_sde and spec.clip_mean > 0
    shapes |= linear("mu.0" if clips else "mu", latent, actions)
    return shapes if spec.use_sde else shapes | linear("log_std", latent, actions)


def _gaussian_read(tensors: Mapping[str, Array], _: Space) -> dict[str, Any]:
    read: dict[str, Any] = {"net_arch": NetArch(_widths("latent_pi", tensors), qf=())}
    log_std, bias = tensors.get("log_std"), tensors.get("mu.0.bias", tensors.get("mu.bias"))
    if log_std is not None and bias is not None and log_std.ndim == 2 and bias.size != 1:
        read["full_std"] = log_std.shape[1] == bias.size
    if log_std is not None and "mu.weight" in tensors:
        read["clip_mean"] = 0.0
    sizes = _widths("sde_features_extractor", tensors)
    return read | ({"sde_net_arch": sizes} if sizes else {})


def _tanh_shapes(spec: ReplaySpec, features: int) -> Shapes:
    return _sequence("mu", (features, *spec.net_arch.pi, _size(spec.action_space)), spec)


def _tanh_read(tensors: Mapping[str, Array], _: Space) -> dict[str, Any]:
    return {"net_arch": NetArch(_widths("mu", tensors)[:-1], qf=())}


def _critics_shapes(spec: ReplaySpec, features: int) -> Shapes:
    widths = (features + _size(spec.action_space), *(spec.net_arch.qf or ()), spec.n_quantiles or 1)
    shapes: Shapes = {}
    for number in range(spec.n_critics):
        shapes |= _sequence(f"qf{number}", widths, spec)
    return shapes


def _critics_read(tensors: Mapping[str, Array], _: Space) -> dict[str, Any]:
    names = {name.partition(".")[0] for name in tensors}
    count = sum(name.startswith("qf") and name[2:].isdecimal() for name in names)
    return {"net_arch": NetArch((), qf=_widths("qf0", tensors)[:-1]), "n_critics": count}


def _quantile_critics_read(tensors: Mapping[str, Array], space: Space) -> dict[str, Any]:
    widths = _widths("qf0", tensors) or (0,)
    return {**_critics_read(tensors, space), "n_quantiles": widths[-1]}


def _values_shapes(name: str) -> Any:
    def shapes(spec: ReplaySpec, features: int) -> Shapes:
        outputs = _size(spec.action_space) * (spec.n_quantiles or 1)
        return _sequence(name, (features, *(spec.net_arch.qf or ()), outputs), spec)

    return shapes


def _values_read(name: str) -> Any:
    def read(tensors: Mapping[str, Array], space: Space) -> dict[str, Any]:
        widths, choices = _widths(name, tensors), max(_size(space), 1)
        quantiles = (widths or (0,))[-1] // choices
        several = quantiles if name == "quantile_net" else 0
        return {"net_arch": NetArch((), qf=widths[:-1]), "n_critics": 1, "n_quantiles": several}

    return read


def _plain_shapes(spec: ReplaySpec, features: int) -> Shapes:
    return _sequence("action_net", (features, *spec.net_arch.pi, _size(spec.action_space)), spec)


def _plain_read(tensors: Mapping[str, Array], space: Space) -> dict[str, Any]:
    return {
        "net_arch": NetArch(_widths("action_net", tensors)[:-1], qf=()),
        "with_bias": any(name.endswith(".bias") for name in tensors),
        **({} if isinstance(space, Box) else {"squash_output": False}),
    }


GAUSSIAN = Kind("gaussian", _gaussian_shapes, _gaussian_read)
"""Means and spreads of a Gaussian that tanh squashes: `latent_pi`, `mu` and `log_std`."""
SQUASHED = Kind("squashed", _tanh_shapes, _tanh_read)
"""Actions themselves, squashed by tanh: `mu`."""
CRITICS = Kind("critics", _critics_shapes, _critics_read)
"""Values of observation and action: `qf0`, `qf1`, ..."""
QUANTILE_CRITICS = Kind("quantile_critics", _critics_shapes, _quantile_critics_read)
"""Quantiles of such values, named likewise."""
CHOICES = Kind("choices", _values_shapes("q_net"), _values_read("q_net"))
"""The value of each choice: `q_net`."""
QUANTILES = Kind("quantiles", _values_shapes("quantile_net"), _values_read("quantile_net"))
"""Quantiles of the value of each choice: `quantile_net`."""
PLAIN = Kind("plain", _plain_shapes, _plain_read)
"""Actions, squashed or not, or scores of choices: `action_net`."""
