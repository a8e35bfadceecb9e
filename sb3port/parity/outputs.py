"""What a policy gives for a batch of observations.

Outputs are arrays by name:

- `normalized_observation`, with a Dict `normalized_observation.<key>`: what the network sees, float32
  where it was normalised;
- `mode`: the most likely action as the network gives it, neither clipped nor scaled, flat for a Box;
- `action`: the deterministic action for the environment, of the action space's shape;
- `value`, `log_prob` (of the sampled actions) and `entropy`, of shape `(n,)`; no `entropy` where the
  distribution has none in closed form;
- `final_states`, of a recurrent policy: the actor's hidden and cell state after the last step, stacked.
"""

import numpy as np
import torch
from torch import Tensor

from sb3port.checkpoint import Array
from sb3port.spaces import Box, Discrete, MultiBinary, Space

type Outputs = dict[str, Array]

OBSERVATION = "normalized_observation"


def by_key(name: str, values: dict[str, Array]) -> Outputs:
    """Give arrays by the keys of a Dict as `<name>.<key>`, the one of any other space as `<name>`."""
    return {f"{name}.{key}" if key else name: array for key, array in values.items()}


def flat_actions(space: Space, actions: Array) -> Tensor:
    """Give actions as SB3's `evaluate_actions` takes them: `(n, A)` for a Box, `(n,)` for a Discrete."""
    tensor = torch.as_tensor(actions)
    if isinstance(space, Box | MultiBinary):
        return tensor.flatten(1).float()
    return tensor.flatten() if isinstance(space, Discrete) else tensor.flatten(1)


def plain_actions(space: Space, actions: Array) -> Array:
    """Give binary actions, which SB3 has in float32, as the integers that they are."""
    return actions.astype(np.int64) if isinstance(space, MultiBinary) else actions
