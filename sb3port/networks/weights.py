"""From tensors by name to a policy in torch, and back."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.networks.actor_critic import ActorCritic


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


def load_tensors(policy: ActorCritic, tensors: Mapping[str, Array]) -> None:
    """Put weights into a policy.

    Raises:
        RuntimeError: They do not fit it.
    """
    state = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    policy.load_state_dict(state, strict=True)


def policy_tensors(policy: ActorCritic) -> dict[str, Array]:
    """Give a copy of the weights by canonical name, buffers included."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in policy.state_dict().items()}
