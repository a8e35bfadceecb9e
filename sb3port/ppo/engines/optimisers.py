"""Optimisers of torch, made as SB3 makes them, and their states."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array, OptimizerState
from sb3port.errors import UsageError
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.compiler import without_compiler


def new_optimizer(policy: ActorCritic, name: str, kwargs: Mapping[str, Any]) -> OptimizerState:
    """Give the state of an optimiser that has done nothing yet.

    Args:
        policy: Whose parameters it has.
        name: Its class in `torch.optim`; SB3 gives Adam an epsilon of 1e-5 where nothing is given.
        kwargs: SB3's `optimizer_kwargs`.

    Raises:
        UsageError: There is none of that name, or it takes other arguments.
    """
    given = dict(kwargs) or ({"eps": 1e-5} if name == "Adam" else {})
    try:
        with without_compiler():
            made = getattr(torch.optim, name)(policy.parameters(), **given)
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"the optimiser {name} cannot be made: {error}") from error
    return OptimizerState(_settings(made), {}, len(list(policy.parameters())))


def load_optimizer(policy: ActorCritic, name: str, saved: OptimizerState) -> torch.optim.Optimizer:
    """Make an optimiser of a class of `torch.optim` with a saved state, as `load_state_dict` does it."""
    optimizer: torch.optim.Optimizer = getattr(torch.optim, name)(policy.parameters())
    state = {number: _tensors(row) for number, row in saved.state.items()}
    defaults = _settings(optimizer)
    group = defaults | {key: value for key, value in saved.group.items() if key in defaults}
    optimizer.load_state_dict({"state": state, "param_groups": [{**group, "params": [*range(saved.count)]}]})
    return optimizer


def optimizer_state(policy: ActorCritic, optimizer: torch.optim.Optimizer) -> OptimizerState:
    """Give a copy of an optimiser's state."""
    parameters = list(policy.parameters())
    state = {
        number: {key: _array(value) for key, value in optimizer.state[parameter].items()}
        for number, parameter in enumerate(parameters)
        if parameter in optimizer.state
    }
    return OptimizerState(_settings(optimizer), state, len(parameters))


def _settings(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    (group,) = optimizer.param_groups
    return {key: value for key, value in group.items() if key != "params"}


def _tensors(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: torch.tensor(np.array(value, np.float32)) for key, value in row.items()}


def _array(value: Any) -> Array:
    return value.detach().cpu().numpy().copy() if isinstance(value, torch.Tensor) else np.asarray(value)
