"""Parameters, gradients and Adam's moments of a policy, each as one array.

A step of the optimiser is then seven operations for all parameters together. Every parameter begins at a
multiple of 64 bytes: matrix products of one row give other bits elsewhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import OptimizerState
from sb3port.networks.actor_critic import ActorCritic

_ALIGNMENT = 16  # float32 numbers
_OFF = ("weight_decay", "amsgrad", "maximize", "capturable", "differentiable")


class FlatAdam:
    """Adam as torch's `_single_tensor_adam` computes it, on all parameters at once.

    Args:
        policy: Its parameters become views of one array.
        state: Adam's state to go on from.

    Attributes:
        parameters: By name.
        gradients: Likewise, to be filled in before `step`.
        gradient: All of them, with zeros between.
    """

    def __init__(self, policy: ActorCritic, state: OptimizerState) -> None:
        shapes = {name: tuple(parameter.shape) for name, parameter in policy.named_parameters()}
        self._group, self._steps = dict(state.group), _steps(state)
        self._flat, self.gradient, self._mean, self._square, self._scratch = (
            _aligned(_size(shapes)) for _ in range(5)
        )
        self.parameters, self.gradients = _views(self._flat, shapes), _views(self.gradient, shapes)
        self._moments = {
            "exp_avg": _views(self._mean, shapes),
            "exp_avg_sq": _views(self._square, shapes),
        }
        for number, (name, parameter) in enumerate(policy.named_parameters()):
            self.parameters[name].copy_(parameter.detach())
            parameter.data = self.parameters[name]
            for moment, views in self._moments.items():
                if number in state.state:
                    views[name].copy_(torch.from_numpy(np.array(state.state[number][moment])))

    def step(self, learning_rate: float, max_grad_norm: float, held: Iterable[str] = ()) -> None:
        """Cut the gradients to a length, as `clip_grad_norm_` does, and move the parameters.

        Args:
            learning_rate: Of this step.
            max_grad_norm: The length.
            held: Names of parameters whose learning rate is 0.
        """
        kept = {name: self.parameters[name].clone() for name in held}
        lengths = torch._foreach_norm(list(self.gradients.values()))
        total = torch.linalg.vector_norm(torch.stack(lengths))
        self.gradient.mul_(torch.clamp(max_grad_norm / (total + 1e-6), max=1.0))
        beta1, beta2 = self._group["betas"]
        self._steps += 1
        correction1, correction2 = 1 - beta1**self._steps, 1 - beta2**self._steps
        self._mean.lerp_(self.gradient, 1 - beta1)
        self._square.mul_(beta2).addcmul_(self.gradient, self.gradient, value=1 - beta2)
        spread = torch.sqrt(self._square, out=self._scratch)
        spread.div_(correction2**0.5).add_(self._group["eps"])
        self._flat.addcdiv_(self._mean, spread, value=-learning_rate / correction1)
        for name, values in kept.items():
            self.parameters[name].copy_(values)
        self._group["lr"] = learning_rate

    def state(self) -> OptimizerState:
        """Give a copy of the state as torch's Adam keeps it."""
        if self._steps == 0:
            return OptimizerState(dict(self._group), {}, len(self.parameters))
        rows = {
            number: {
                "step": np.array(self._steps, np.float32),
                **{moment: views[name].numpy().copy() for moment, views in self._moments.items()},
            }
            for number, name in enumerate(self.parameters)
        }
        return OptimizerState(dict(self._group), rows, len(rows))


def fits_adam(optimizer_class: str, state: OptimizerState) -> bool:
    """Whether an optimiser is a plain Adam, in which every parameter has taken the same number of steps."""
    plain = not any(state.group.get(name) for name in _OFF)
    steps = {float(np.asarray(row["step"])) for row in state.state.values()}
    together = len(steps) <= 1 and len(state.state) in (0, state.count)
    moments = all(set(row) == {"step", "exp_avg", "exp_avg_sq"} for row in state.state.values())
    return optimizer_class == "Adam" and plain and together and moments


def _steps(state: OptimizerState) -> int:
    return int(np.asarray(next(iter(state.state.values()))["step"])) if state.state else 0


def _padded(shape: tuple[int, ...]) -> int:
    return -(-int(np.prod(shape)) // _ALIGNMENT) * _ALIGNMENT


def _size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(map(_padded, shapes.values()))


def _aligned(size: int) -> Tensor:
    """Give zeros that begin at a multiple of 64 bytes, which torch's own memory on a CPU does."""
    zeros = torch.zeros(size)
    assert zeros.data_ptr() % (4 * _ALIGNMENT) == 0
    return zeros


def _views(flat: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    views, start = {}, 0
    for name, shape in shapes.items():
        views[name] = flat[start : start + int(np.prod(shape))].view(shape)
        start += _padded(shape)
    return views
