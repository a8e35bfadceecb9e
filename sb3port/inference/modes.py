"""The most likely actions for what `action_net` gives, with the operations of SB3's distributions.

Sources: `stable_baselines3.common.distributions`, `sb3_contrib.common.maskable.distributions`.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete

Mode: TypeAlias = Callable[[Tensor, Tensor | None], Array]

_FORBIDDEN = -1e8
_CLEAR = 1e-3  # between two logits: rounding cannot make their probabilities equal, or change their order


def mode_of(spec: PolicySpec) -> Mode:
    """Give the function from outputs `(n, k)`, and the mask of a maskable policy, to actions."""
    likeliest = _likeliest_allowed if spec.maskable else _likeliest
    match spec.action_space:
        case Discrete():
            return likeliest
        case MultiDiscrete(nvec):
            return _each(likeliest, nvec.tolist())
        case MultiBinary() as space if spec.maskable:
            return _each(likeliest, [2] * space.size)
        case MultiBinary():
            return lambda outputs, _: np.asarray(torch.round(torch.sigmoid(outputs)))
        case Box() if spec.use_sde and spec.squash_output:
            return lambda outputs, _: np.asarray(torch.tanh(outputs))
    return lambda outputs, _: np.asarray(outputs)


def _likeliest(logits: Tensor, _: Tensor | None) -> Array:
    numbers: Array = logits.numpy()
    high = numbers.max(axis=1, keepdims=True)
    if np.count_nonzero(numbers > high - _CLEAR) == len(numbers):
        return np.asarray(numbers.argmax(axis=1))
    # SB3 goes by the probabilities: rounding can make two of them equal, and then the first wins.
    probabilities: Array = torch.softmax(_normalized(logits), dim=-1).numpy()
    return np.asarray(probabilities.argmax(axis=1))


def _likeliest_allowed(logits: Tensor, mask: Tensor | None) -> Array:
    normalized = _normalized(logits)
    return _likeliest(normalized if mask is None else torch.where(mask, normalized, _FORBIDDEN), None)


def _each(likeliest: Mode, sizes: list[int]) -> Mode:
    def mode(outputs: Tensor, mask: Tensor | None) -> Array:
        masks = [None] * len(sizes) if mask is None else torch.split(mask, sizes, dim=1)
        groups = zip(torch.split(outputs, sizes, dim=1), masks, strict=True)
        return np.stack([likeliest(*group) for group in groups], axis=1)

    return mode


def _normalized(logits: Tensor) -> Tensor:
    return logits - logits.logsumexp(dim=-1, keepdim=True)
