"""From a spec to the torch policy that is trained, and from observations to its batches."""

import contextlib
import io
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from torch import Tensor

from lerobot_policy_ppo import PPOConfig
from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, parts
from sb3port.families.features import batch_keys, mask_key
from sb3port.ports.lerobot_template import config_json
from sb3port.ppo.rollout.environments import Observations


def make_policy(spec: PolicySpec) -> PPOPolicy:
    """Make a policy with SB3's initialisation, drawing from torch's random numbers in SB3's order."""
    own = {field.name for field in fields(PPOConfig)}
    inherited = {"input_features", "output_features", "device"}
    given = {k: v for k, v in config_json(spec, 0.0).items() if k in own - inherited}
    with contextlib.redirect_stdout(io.StringIO()):
        return PPOPolicy(PPOConfig(**{**given, "normalization_mapping": {}}, device="cpu"))


class Batches:
    """Puts observations where the policy expects them.

    Args:
        spec: The policy.
        device: Where it is.
    """

    def __init__(self, spec: PolicySpec, device: torch.device) -> None:
        keys = batch_keys(spec.observation_space)
        self._rows = {
            name: (keys[name], bool(part.shape)) for name, part in parts(spec.observation_space).items()
        }
        self._images = {
            name
            for name, part in parts(spec.observation_space).items()
            if isinstance(part, Box) and part.is_image
        }
        self._mask_key = mask_key(spec.observation_space)
        self._device = device

    def __call__(self, observations: Observations, masks: Array | None = None) -> dict[str, Tensor]:
        """Make a batch of observations `(B, ...)`, and of masks `(B, choices)` where there are some."""
        batch = {}
        for name, (key, is_array) in self._rows.items():
            rows = torch.as_tensor(observations[name], device=self._device)
            if name not in self._images:
                rows = rows.reshape(len(rows), -1) if is_array else rows.reshape(-1, 1)
            batch[key] = rows
        if masks is not None:
            batch[self._mask_key] = torch.as_tensor(masks, device=self._device)
        return batch


def policy_tensors(policy: PPOPolicy) -> dict[str, Array]:
    """Give a copy of the weights by canonical name, buffers included."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in policy.state_dict().items()}


def load_tensors(policy: PPOPolicy, tensors: Any) -> None:
    """Put weights into a policy."""
    state = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    policy.load_state_dict(state, strict=True)
