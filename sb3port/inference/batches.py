"""From raw observations to a batch of a port, and back to what its networks see."""

import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Box, Simple, Space, parts
from sb3port.families.features import batch_key, mask_key
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import OBSERVATION, Outputs, by_key


def raw_batch(space: Space, observations: Observations) -> dict[str, Tensor]:
    """Put observations under their keys: images as they are, all else flattened."""
    batch = {
        batch_key(key, part): _tensor(observations.parts[key], part) for key, part in parts(space).items()
    }
    masks = observations.masks
    return batch if masks is None else batch | {mask_key(space): torch.as_tensor(masks)}


def normalized_outputs(space: Space, batch: dict[str, Tensor], observations: Observations) -> Outputs:
    """Give what the network sees, in the shape of the observations."""
    seen = {
        key: batch[batch_key(key, part)].numpy().reshape(observations.parts[key].shape)
        for key, part in parts(space).items()
    }
    return by_key(OBSERVATION, seen)


def _tensor(values: Array, space: Simple) -> Tensor:
    # In the layout in which SB3 is given it: convolutions of another one differ in the last bits.
    tensor = torch.as_tensor(values)
    is_image = isinstance(space, Box) and space.is_image
    return tensor if is_image else tensor.reshape(len(tensor), -1)
