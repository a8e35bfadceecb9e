"""Multi-layer perceptrons in numpy: no torch, and within noise of it."""

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, NoReturn

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, parts
from sb3port.errors import UsageError
from sb3port.inference.actions import refuse_nan
from sb3port.inference.layers import actor_layers, layer
from sb3port.inference.observations import Input

_FORBIDDEN = np.float32(-1e8)
_INSTEAD = "load it with backend='torch'"


class NumpyNetwork:
    """The actor of a policy without convolutions and without memory.

    Args:
        spec: The policy's.
        tensors: Its weights, by SB3's names.

    Raises:
        UsageError: The policy has something else.
    """

    def __init__(self, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
        _check(spec, tensors)
        pairs = [*actor_layers(tensors), layer(tensors, "action_net")]
        # For one observation all shapes are the same, so that numpy has nothing to broadcast: half the time.
        *hidden, last = [(np.ascontiguousarray(weight.T), bias[None]) for weight, bias in pairs]
        self._hidden, self._last = hidden, last
        self._activation = _ACTIVATIONS[spec.activation_fn]
        self._choose = _chooser(spec)

    def act(self, features: Input, masks: Array | None) -> Array:
        """See `policy.Network`."""
        rows = _flat(features)
        for weight, bias in self._hidden:
            rows = rows.dot(weight)
            rows += bias
            rows = self._activation(rows)
        weight, bias = self._last
        outputs = rows.dot(weight)
        outputs += bias
        refuse_nan(outputs)
        return self._choose(outputs, masks)

    def sample(self, features: Input, masks: Array | None) -> NoReturn:  # noqa: ARG002 (as others have it)
        """Refuse.

        Raises:
            UsageError: There are no random actions here.
        """
        raise UsageError("the numpy backend has no random actions", _INSTEAD)

    def remember(self, *_: Any) -> NoReturn:
        """Never called: there are no LSTMs here."""
        raise NotImplementedError

    def reset_noise(self, n_envs: int) -> None:
        """Do nothing: there is no noise here."""


def _check(spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
    lacks = None
    if spec.lstm_hidden_size is not None:
        lacks = "LSTMs"
    elif any(isinstance(space, Box) and space.is_image for space in parts(spec.observation_space).values()):
        lacks = "images"
    elif any(name.startswith("features_extractor.") for name in tensors):
        lacks = f"features extractors with weights, such as this policy's {spec.features_extractor}"
    elif spec.activation_fn not in _ACTIVATIONS:
        lacks = f"activation {spec.activation_fn}"
    if lacks:
        raise UsageError(f"the numpy backend has no {lacks}", _INSTEAD)


def _flat(features: Input) -> Array:
    if isinstance(features, dict):
        return np.concatenate([rows.reshape(len(rows), -1) for rows in features.values()], axis=1)
    return features if features.ndim == 2 else features.reshape(len(features), -1)


def _chooser(spec: PolicySpec) -> Callable[[Array, Array | None], Array]:
    """Give the function from the outputs of `action_net` and masks to the most likely actions."""
    match spec.action_space:
        case Discrete():
            return lambda outputs, masks: _allowed(outputs, masks).argmax(axis=1)
        case MultiDiscrete(nvec):
            return lambda outputs, masks: _likeliest(outputs, masks, nvec.tolist())
        case MultiBinary() as space if spec.maskable:
            return lambda outputs, masks: _likeliest(outputs, masks, [2] * space.size)
        case MultiBinary():
            return lambda outputs, _: (outputs > 0).astype(np.float32)
        case Box() if spec.use_sde and spec.squash_output:
            return lambda outputs, _: np.tanh(outputs)
    return lambda outputs, _: outputs


def _likeliest(outputs: Array, masks: Array | None, sizes: list[int]) -> Array:
    logits, ends = _allowed(outputs, masks), list(accumulate(sizes))
    columns = [logits[:, end - size : end].argmax(axis=1) for size, end in zip(sizes, ends, strict=True)]
    return np.stack(columns, axis=1)


def _allowed(outputs: Array, masks: Array | None) -> Array:
    return outputs if masks is None else np.where(masks, outputs, _FORBIDDEN)


def _tanh(x: Array) -> Array:
    return np.tanh(x, out=x)


def _relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0), out=x)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _leaky_relu(x: Array) -> Array:
    return np.where(x > 0, x, np.float32(0.01) * x)


def _sigmoid(x: Array) -> Array:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


def _silu(x: Array) -> Array:
    return x * _sigmoid(x)


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, np.float32(0))


def _softsign(x: Array) -> Array:
    return x / (np.float32(1) + np.abs(x))


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Tanh": _tanh,
    "ReLU": _relu,
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "Sigmoid": _sigmoid,
    "SiLU": _silu,
    "Softplus": _softplus,
    "Softsign": _softsign,
}
