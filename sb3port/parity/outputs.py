"""What a policy gives for a batch of observations."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from sb3port.checkpoint import Array


@dataclass(frozen=True)
class Outputs:
    """Outputs of one policy for `n` observations.

    Args:
        normalized_observation: What the network sees, float32 where it was normalised.
        mode: The most likely action as the network gives it, neither clipped nor scaled.
        action: The deterministic action for the environment.
        value: Of shape `(n,)`.
        log_prob: Of the sampled actions, of shape `(n,)`.
        entropy: Of shape `(n,)`, None where the distribution has none in closed form.
    """

    normalized_observation: Array
    mode: Array
    action: Array
    value: Array
    log_prob: Array
    entropy: Array | None

    def items(self) -> list[tuple[str, Array]]:
        """Give name and array of every output there is."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, value) for name, value in values if value is not None]


def flat_actions(actions: Array) -> Tensor:
    """Give actions as SB3's rollout buffer holds them: `(n, A)` for a Box, `(n,)` for a Discrete."""
    tensor = torch.as_tensor(actions)
    return tensor.flatten(1) if tensor.is_floating_point() else tensor
