"""From tensors by name to a policy in torch, and back."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from sb3port.checkpoint.checkpoint import Array, OptimizerState, PolicySpec, ReplaySpec
from sb3port.errors import NotPortable
from sb3port.families.parameters import fits
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.replay.policy import ReplayPolicy


def build_replay_policy(spec: ReplaySpec, tensors: Mapping[str, Array]) -> ReplayPolicy:
    """Build a policy of several networks, as `build_policy` builds an actor-critic."""
    with torch.random.fork_rng(devices=[]):
        policy = ReplayPolicy(spec)
    load_tensors(policy, tensors)
    policy.eval().requires_grad_(False)
    return policy


def build_policy(spec: PolicySpec, tensors: Mapping[str, Array]) -> ActorCritic:
    """Build a policy with its weights, for acting: it is in evaluation mode and needs no gradients.

    Raises:
        ValueError: The spec is contradictory or not supported.
        RuntimeError: The weights do not fit it.
    """
    with torch.random.fork_rng(devices=[]):  # the numbers that its weights were drawn from are of no use
        policy = ActorCritic(replace(spec, ortho_init=False))
    policy.spec = spec
    load_tensors(policy, tensors)
    policy.eval().requires_grad_(False)
    return policy


def load_tensors(policy: nn.Module, tensors: Mapping[str, Array]) -> None:
    """Put weights into a policy.

    Raises:
        RuntimeError: They do not fit it.
    """
    state = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    for name, twin in twins(policy, state).items():
        state.setdefault(name, state[twin])
    policy.load_state_dict(state, strict=True)


def twins(policy: nn.Module, names: Container[str]) -> dict[str, str]:
    """Tell of tied parameters, which a policy has under several names, one that is there.

    Args:
        policy: Ours.
        names: Those that are there: LeRobot saves each parameter once.

    Returns:
        By each of their names, one of `names`; nothing where none is there.
    """
    groups: dict[int, list[str]] = {}
    for name, tensor in policy.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    tied = [group for group in groups.values() if len(group) > 1]
    there = [(group, next((name for name in group if name in names), None)) for group in tied]
    return {name: one for group, one in there if one is not None for name in group}


def policy_tensors(policy: nn.Module) -> dict[str, Array]:
    """Give a copy of the weights by canonical name, buffers included."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in policy.state_dict().items()}


def of_parameters(saved: OptimizerState, policy: nn.Module, tensors: Iterable[str]) -> OptimizerState:
    """Give an optimiser's state as one of a policy's parameters, which it has to fit.

    Args:
        saved: The state.
        policy: Ours, or SB3's.
        tensors: The names of the policy's tensors, in their order. Earlier ports that were trained on count
            all of them as parameters, also the buffers of a features extractor of the user's own.

    Raises:
        NotPortable: It does not fit.
    """
    shapes = {name: tuple(parameter.shape) for name, parameter in policy.named_parameters()}
    order, names = list(shapes), list(tensors)
    if saved.count != len(order) and saved.count == len(names):
        rows = {order.index(names[n]): row for n, row in saved.state.items() if names[n] in shapes}
        saved = replace(saved, state=rows, count=len(order))
    numbered = dict(enumerate(shapes.values()))
    if saved.count != len(order) or not all(fits(row, numbered[n]) for n, row in saved.state.items()):
        raise NotPortable(
            "the optimiser's state does not fit the parameters of the policy's networks",
            "name the features extractor that the policy was trained with",
        )
    return saved
