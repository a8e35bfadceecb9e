"""Networks in numbers of 16 bits, which GPUs multiply several times as fast.

Features extractors, LSTMs and the layers after them are computed so; heads, distributions, losses, gradients
of parameters and the optimiser stay in 32 bits, so that ratios of probabilities mean something.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from sb3port.networks.actor_critic import ActorCritic
from sb3port.ppo.engines.base import Learner

_NETWORKS = (
    "features_extractor",
    "vf_features_extractor",
    "sde_features_extractor",
    "lstm_actor",
    "lstm_critic",
    "critic",
)
_PARTS = ("policy_net", "value_net", "shared_net")  # of `mlp_extractor`, which has two ways through it


def compute_in_half(policy: ActorCritic, device: torch.device) -> None:
    """Let the networks of a policy compute in 16 bits from now on, and give numbers of 32.

    On a CPU its LSTMs stay as they are: not every one has the instructions that torch wants for them.
    """
    networks = [getattr(policy, name, None) for name in _NETWORKS]
    networks += [getattr(policy.mlp_extractor, name, None) for name in _PARTS]
    for network in networks:
        if isinstance(network, nn.Module) and not (device.type == "cpu" and isinstance(network, nn.LSTM)):
            network.forward = in_half(network.forward, device)


def half_type(device: torch.device) -> torch.dtype:
    """Name the numbers of 16 bits: with the range of 32 bits where the device has them."""
    has_range = device.type != "cuda" or torch.cuda.is_bf16_supported()
    return torch.bfloat16 if has_range else torch.float16


def gradient_scaler(learner: Learner) -> GradScaler:
    """Give what keeps gradients within the range of float16; with other numbers it does nothing."""
    is_narrow = learner.mixed_precision and half_type(learner.device) == torch.float16
    return GradScaler(learner.device.type, enabled=is_narrow)


def in_half(forward: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """Give a function that computes a network in 16 bits, and gives tensors, and states, in 32."""

    def run(*inputs: Any) -> Any:
        with torch.autocast(device.type, half_type(device)):
            return _in_full(forward(*inputs))

    return run


def _in_full(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    return tuple(map(_in_full, outputs))
