"""What the networks of SB3's policy classes give, in whatever floating-point type they are."""

from typing import Any

import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs, head_name, in_sequence, outputs_of, plain_actions, rows_at
from sb3port.parity.oracle.recurrent_maskable import RecurrentMaskableActorCriticPolicy


def network_outputs(
    policy: Any, spec: PolicySpec, batch: Any, observations: Observations, actions: Tensor
) -> Outputs:
    """Compute what the networks and the distribution give.

    Args:
        policy: SB3's.
        spec: What it was built from.
        batch: Normalised observations, as `obs_to_tensor` gives them.
        observations: Whose masks and memories are used.
        actions: Whose log-probability is asked.
    """
    show_masks(policy, observations.masks)
    memory = _memory(policy, observations)
    with outputs_of(policy.action_net) as heads:
        if memory is None:
            given = {"actions": actions, **masks_of(observations)}
            values, log_prob, entropy = policy.evaluate_actions(batch, **given)
            # The one object that `evaluate_actions` and `get_distribution` set, and the latter gives.
            distribution, final = policy.action_dist, None
        else:
            values, log_prob, entropy = policy.evaluate_actions(batch, actions, *memory)
            distribution, final = distribution_of(policy, batch, observations)
    named = {"value": values.flatten(), "log_prob": log_prob, "entropy": entropy, "final_states": final}
    network = {head_name(spec.action_space): heads[0], "mode": distribution.mode(), **named}
    arrays = {name: tensor.numpy() for name, tensor in network.items() if tensor is not None}
    return {**arrays, "mode": plain_actions(spec.action_space, arrays["mode"])}


def distribution_of(policy: Any, batch: Any, observations: Observations) -> tuple[Any, Tensor | None]:
    """Give SB3's distribution, and the actor's states after the last step of a recurrent policy."""
    show_masks(policy, observations.masks)
    memory = _memory(policy, observations)
    if memory is None:
        return policy.get_distribution(batch, **masks_of(observations)), None
    states, starts = memory
    distribution, final = policy.get_distribution(batch, states.pi, starts)
    return distribution, torch.stack(tuple(final))


def remembered_values(policy: Any, normalized: Any, observations: Observations) -> Array:
    """Compute the values of sequences from their beginning on, step by step."""
    layers, _, hidden = policy.lstm_hidden_state_shape
    zeros = torch.zeros(layers, len(observations) // observations.steps, hidden)
    states, values = RNNStates((zeros, zeros), (zeros, zeros)), []
    for step in range(observations.steps):
        batch, _ = policy.obs_to_tensor(rows_at(normalized, step, observations.steps))
        _, value, _, states = policy.forward(batch, states, torch.zeros(zeros.shape[1]), deterministic=True)
        values.append(value.flatten().numpy())
    return in_sequence(values)


def show_masks(policy: Any, masks: Array | None) -> None:
    """Tell a recurrent policy which actions are allowed in what it is asked next; others take an argument."""
    if isinstance(policy, RecurrentMaskableActorCriticPolicy):
        policy.action_masks = masks


def masks_of(observations: Observations) -> dict[str, Array]:
    """Give the masks as the argument that they are in sb3-contrib."""
    return {} if observations.masks is None else {"action_masks": observations.masks}


def _memory(policy: Any, observations: Observations) -> tuple[RNNStates, Tensor] | None:
    if observations.states is None or observations.starts is None:
        return None
    dtype = next(policy.parameters()).dtype
    pi_hidden, pi_cell, vf_hidden, vf_cell = torch.as_tensor(observations.states).to(dtype)
    starts = torch.as_tensor(observations.starts).to(dtype)
    return RNNStates((pi_hidden, pi_cell), (vf_hidden, vf_cell)), starts
