"""The activations of torch.nn in NumPy, for float32 arrays, which some of them overwrite.

They use nothing but NumPy, `math` and each other: `sb3port export --to numpy` copies those that a policy
needs into the module that it writes. Source of the formulas: `torch/nn/modules/activation.py`.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.families.activations import parse_activation


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x, out=x)


def relu(x: Array) -> Array:
    """Positive part."""
    return np.maximum(x, np.float32(0), out=x)


def relu6(x: Array) -> Array:
    """Between 0 and 6."""
    return np.clip(x, 0, 6)


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """Between two numbers."""
    return np.clip(x, np.float32(min_val), np.float32(max_val))


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """Negative numbers by a slope of their own."""
    return np.where(x > 0, x, np.float32(negative_slope) * x)


def threshold(x: Array, threshold: float, value: float) -> Array:
    """One value for all that is not above a threshold."""
    return np.where(x > np.float32(threshold), x, np.float32(value))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Negative numbers by an exponential."""
    return np.where(x > 0, x, np.float32(alpha) * np.expm1(np.minimum(x, 0)))


def celu(x: Array, alpha: float = 1.0) -> Array:
    """Negative numbers by an exponential of x / alpha."""
    scale = np.float32(alpha)
    return np.maximum(x, 0) + np.minimum(scale * np.expm1(np.minimum(x / scale, 0)), 0)


def selu(x: Array) -> Array:
    """Scaled exponential, https://arxiv.org/abs/1706.02515."""
    scale, alpha = np.float32(1.0507009873554805), np.float32(1.6732632423543772)
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x: Array) -> Array:
    """Logistic function; by tanh, because the exponential of a large number is infinite."""
    return (1 + np.tanh(x / 2)) / 2


def silu(x: Array) -> Array:
    """Each number times its sigmoid."""
    return x * sigmoid(x)


def log_sigmoid(x: Array) -> Array:
    """Logarithm of the sigmoid."""
    return -np.logaddexp(np.float32(0), -x)


def hardsigmoid(x: Array) -> Array:
    """Sigmoid in three straight lines."""
    return np.clip(x / 6 + np.float32(0.5), 0, 1)


def hardswish(x: Array) -> Array:
    """Each number times its hardsigmoid."""
    return x * hardsigmoid(x)


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Smooth positive part; a straight line above a threshold."""
    scaled = np.float32(beta) * x
    return np.where(scaled > threshold, x, np.logaddexp(scaled, np.float32(0)) / np.float32(beta))


def mish(x: Array) -> Array:
    """Each number times the tanh of its softplus."""
    return x * np.tanh(softplus(x))


def gelu(x: Array, approximate: str = "none") -> Array:
    """Each number times the normal distribution's probability of a smaller one."""
    if approximate == "tanh":
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)
        return x * (1 + np.tanh(inner)) / 2
    below = [1 + math.erf(number / math.sqrt(2)) for number in x.ravel().tolist()]
    return x * np.array(below, np.float32).reshape(x.shape) / 2


def softsign(x: Array) -> Array:
    """Each number by one more than its size."""
    return x / (1 + np.abs(x))


def tanhshrink(x: Array) -> Array:
    """Each number less its tanh."""
    return x - np.tanh(x)


def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    """Zero for small numbers."""
    return np.where(np.abs(x) > np.float32(lambd), x, np.float32(0))


def softshrink(x: Array, lambd: float = 0.5) -> Array:
    """Zero for small numbers, and others nearer to it by as much."""
    return x - np.clip(x, -np.float32(lambd), np.float32(lambd))


def softmax(x: Array, dim: int = -1) -> Array:
    """Probabilities that are proportional to exponentials."""
    powers = np.exp(x - x.max(axis=dim, keepdims=True))
    return powers / powers.sum(axis=dim, keepdims=True)


def softmin(x: Array, dim: int = -1) -> Array:
    """Softmax of negatives."""
    return softmax(-x, dim)


def log_softmax(x: Array, dim: int = -1) -> Array:
    """Logarithm of the softmax."""
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


ACTIVATIONS: dict[str, Callable[..., Array]] = {
    "CELU": celu,
    "ELU": elu,
    "GELU": gelu,
    "Hardshrink": hardshrink,
    "Hardsigmoid": hardsigmoid,
    "Hardswish": hardswish,
    "Hardtanh": hardtanh,
    "LeakyReLU": leaky_relu,
    "LogSigmoid": log_sigmoid,
    "LogSoftmax": log_softmax,
    "Mish": mish,
    "ReLU": relu,
    "ReLU6": relu6,
    "SELU": selu,
    "SiLU": silu,
    "Sigmoid": sigmoid,
    "Softmax": softmax,
    "Softmin": softmin,
    "Softplus": softplus,
    "Softshrink": softshrink,
    "Softsign": softsign,
    "Tanh": tanh,
    "Tanhshrink": tanhshrink,
    "Threshold": threshold,
}


def activation_of(text: str) -> Callable[[Array], Array]:
    """Give the activation of a spec's text, such as `LeakyReLU(negative_slope=0.2)`.

    Raises:
        ValueError: There is none.
    """
    found = parse_activation(text)
    function = ACTIVATIONS[found.name]
    return partial(function, **found.arguments) if found.arguments else function
