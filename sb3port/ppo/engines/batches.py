"""From observations of environments to the batches of a policy."""

import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, parts
from sb3port.families.features import batch_keys, mask_key
from sb3port.ppo.rollout.environments import Observations


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
