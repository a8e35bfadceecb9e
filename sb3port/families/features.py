"""Where the parts of an observation are in a LeRobot batch: as `lerobot_policy_ppo` has them.

A vector is `observation.state`, an image `observation.image`; the part `k` of a Dict is `observation.k`, an
image `observation.images.k`. What LeRobot calls `observation.image` beside other observations is the part
`observation_image`. Vectors are flattened, images have their channels first.
"""

from typing import Any

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Simple, Space, parts
from sb3port.families.maskable import MASKABLE
from sb3port.families.registry import family_of

_ACTION_MASK = "observation.action_mask"
# Where an observation has that name; no key of a Dict that SB3 has policies for holds a dot.
_OTHER_ACTION_MASK = "observation.policy.action_mask"
MASK_KEYS = (_ACTION_MASK, _OTHER_ACTION_MASK)
ONE_IMAGE = "observation_image"
"""The part of a Dict that LeRobot shows under the key of an image that is all there is.

It is a name that environments do not have, because ports know their `pixels` as `observation.images.pixels`.
"""


def batch_key(name: str, space: Simple) -> str:
    """Give the key of a part in a batch.

    Args:
        name: Its key in a Dict, "" where it is the whole observation.
        space: Its space.
    """
    image = isinstance(space, Box) and space.is_image
    if image:
        return "observation.image" if name in ("", ONE_IMAGE) else f"observation.images.{name}"
    return f"observation.{name or 'state'}"


def batch_keys(space: Space) -> dict[str, str]:
    """Give the batch key of every part of a space by its name, "" where the space is no Dict."""
    return {name: batch_key(name, part) for name, part in parts(space).items()}


def mask_key(space: Space) -> str:
    """Give the key of the mask of actions in a batch, for an observation space."""
    return _OTHER_ACTION_MASK if _ACTION_MASK in batch_keys(space).values() else _ACTION_MASK


def choices(space: Space) -> int:
    """How many choices there are in a space of actions: one for each logit of a maskable policy."""
    return MASKABLE.outputs(space)


def mask_size(spec: PolicySpec) -> int:
    """How many choices a mask allows or forbids: the logits of the policy."""
    return family_of(spec).outputs(spec.action_space)


def input_features(spec: PolicySpec) -> dict[str, Any]:
    """Give LeRobot's features of the observations, and of the mask of a maskable policy."""
    found = {batch_key(name, part): _feature(part) for name, part in parts(spec.observation_space).items()}
    key = mask_key(spec.observation_space)
    return found | ({key: {"type": "STATE", "shape": [mask_size(spec)]}} if spec.maskable else {})


def output_features(spec: PolicySpec) -> dict[str, Any]:
    """Give LeRobot's feature of the actions."""
    space = spec.action_space
    assert not isinstance(space, Dict)
    return {"action": {"type": "ACTION", "shape": [space.size]}}


def _feature(space: Simple) -> dict[str, Any]:
    if isinstance(space, Box) and space.is_image:
        return {"type": "VISUAL", "shape": list(space.channels_first)}
    return {"type": "STATE", "shape": [space.size]}
