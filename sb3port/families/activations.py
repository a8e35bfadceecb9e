"""Activations of torch.nn with their arguments, as one text: `Tanh`, or `LeakyReLU(negative_slope=0.2)`.

The text names only the arguments that are not torch's defaults, in torch's order, so that each activation has
one. Source of names and defaults: `torch/nn/modules/activation.py`.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

_LONGEST = 100

Number: TypeAlias = float | int | str


@dataclass(frozen=True)
class Activation:
    """One activation.

    Args:
        name: Of the class in `torch.nn`.
        arguments: Those that are not torch's defaults.
    """

    name: str
    arguments: Mapping[str, Number] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.name}({given})" if given else self.name


@dataclass(frozen=True)
class _Argument:
    """An argument: how it is read, and torch's default; None where it must be given."""

    read: Callable[[Any], Number]
    default: Number | None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("is no number")
    return float(value)


def _dimension(value: Any) -> int:
    """Features are the last of two dimensions."""
    if value not in (-1, 1) or isinstance(value, bool):
        raise ValueError("is not the dimension of the features, -1")
    return -1


def _approximation(value: Any) -> str:
    if value not in ("none", "tanh"):
        raise ValueError("is neither 'none' nor 'tanh'")
    return str(value)


def _numbers(**defaults: float | None) -> dict[str, _Argument]:
    return {name: _Argument(_number, default) for name, default in defaults.items()}


_OVER_FEATURES = {"dim": _Argument(_dimension, None)}
# Those that keep the number of features, have no weights, and compute the same in training.
_ACTIVATIONS: dict[str, dict[str, _Argument]] = {
    **{name: {} for name in ("Hardsigmoid", "Hardswish", "LogSigmoid", "Mish", "ReLU", "ReLU6", "SELU")},
    **{name: {} for name in ("SiLU", "Sigmoid", "Softsign", "Tanh", "Tanhshrink")},
    "CELU": _numbers(alpha=1.0),
    "ELU": _numbers(alpha=1.0),
    "GELU": {"approximate": _Argument(_approximation, "none")},
    "Hardshrink": _numbers(lambd=0.5),
    "Hardtanh": _numbers(min_val=-1.0, max_val=1.0),
    "LeakyReLU": _numbers(negative_slope=0.01),
    "LogSoftmax": _OVER_FEATURES,
    "Softmax": _OVER_FEATURES,
    "Softmin": _OVER_FEATURES,
    "Softplus": _numbers(beta=1.0, threshold=20.0),
    "Softshrink": _numbers(lambd=0.5),
    "Threshold": _numbers(threshold=None, value=None),
}
NAMES = frozenset(_ACTIVATIONS)
_REASONS = {
    "PReLU": "it has weights of its own, for which a layer of a port has no place",
    "RReLU": "it draws random slopes in training",
    "GLU": "it halves the number of features",
}
# It says where the result is written, not what it is.
_IGNORED = "inplace"


def activation(name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Activation:
    """Give an activation by what its class is called with.

    Args:
        name: Of the class in `torch.nn`.
        args: Arguments by position.
        kwargs: Arguments by name.

    Raises:
        ValueError: It is not supported, or torch has no such arguments; as the rest of a sentence on it.
    """
    if name not in _ACTIVATIONS:
        reason = _REASONS.get(name)
        supported = ", ".join(sorted(NAMES))
        why = f": {reason}" if reason else f" (supported: {supported})"
        raise ValueError(f"the activation {name[:_LONGEST]}, which is not supported{why}")
    known = _ACTIVATIONS[name]
    names = [*known, _IGNORED]
    by_position = dict(zip(names, args, strict=False))
    given = {**by_position, **(kwargs or {})}
    twice = len(by_position) < len(args) or by_position.keys() & (kwargs or {}).keys()
    if twice or not given.keys() <= set(names):
        raise ValueError(f"the activation {name} with other arguments than {', '.join(known) or 'none'}")
    return Activation(name, {key: value for key, value in _read(name, given) if value != known[key].default})


def _read(name: str, given: Mapping[str, Any]) -> list[tuple[str, Number]]:
    found = []
    for key, argument in _ACTIVATIONS[name].items():
        if key not in given and argument.default is None:
            raise ValueError(f"the activation {name} without {key}, which it needs")
        try:
            found.append((key, argument.read(given.get(key, argument.default))))
        except ValueError as error:
            raise ValueError(f"the activation {name} with a {key} that {error}") from None
    return found


def parse_activation(text: str) -> Activation:
    """Read the text of an activation, strictly: it must be the one that `str` gives.

    Raises:
        ValueError: It is not; as the rest of a sentence.
    """
    if text in _ACTIVATIONS:
        return activation(text)
    found = activation_said(text)
    if str(found) != text:
        raise ValueError(f"the activation {text[:_LONGEST]}, which is written {found}")
    return found


def activation_said(text: str) -> Activation:
    """Read an activation as a user writes it: `nn.LeakyReLU(0.2)`.

    Raises:
        ValueError: It is none, or not supported; as the rest of a sentence.
    """
    odd = ValueError(f"the activation {text[:_LONGEST]}, which is no class of torch.nn with plain arguments")
    try:
        tree = ast.parse(text.strip(), mode="eval").body if len(text) <= 2 * _LONGEST else None
        call = tree if isinstance(tree, ast.Call) else None
        args = [ast.literal_eval(arg) for arg in call.args] if call else []
        kwargs = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords} if call else {}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise odd from None
    target = call.func if call else tree
    if isinstance(target, ast.Attribute):
        return activation(target.attr, args, kwargs)
    if isinstance(target, ast.Name):
        return activation(target.id, args, kwargs)
    raise odd
