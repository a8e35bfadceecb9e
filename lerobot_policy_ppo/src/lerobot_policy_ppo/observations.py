"""Where the parts of an observation are in a batch: LeRobot's keys and features for a Gymnasium space.

A vector is `observation.state`, an image `observation.image`; the part `k` of a Dict is `observation.k`, an
image `observation.images.k`. Vectors are flattened; images have their channels first.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.utils.constants import OBS_IMAGE, OBS_IMAGES, OBS_STATE, OBS_STR

from lerobot_policy_ppo.spaces import SpaceJSON, flat_size, image_box, image_shape, is_image, unbounded_box

# Which choices are allowed, for policies that can be told: bool or 0 and 1, `(B, number of choices)`.
ACTION_MASK = f"{OBS_STR}.action_mask"
# The same where an observation has that name; no key of a Dict that SB3 has policies for holds a dot.
_OTHER_ACTION_MASK = f"{OBS_STR}.policy.action_mask"


def batch_key(space: spaces.Space[Any], name: str | None = None) -> str:
    """Key of an observation in a batch.

    Args:
        space: Its space, not a Dict.
        name: Its key in a Dict space, or None when it is the whole observation.
    """
    if name is None:
        return OBS_IMAGE if is_image(space) else OBS_STATE
    return f"{OBS_IMAGES if is_image(space) else OBS_STR}.{name}"


def mask_key(space: spaces.Space[Any]) -> str:
    """Key of the mask of actions in a batch.

    Args:
        space: The observation space, in which `action_mask` may be a key itself.
    """
    return _OTHER_ACTION_MASK if ACTION_MASK in observation_parts(space) else ACTION_MASK


def without_mask(features: Mapping[str, PolicyFeature]) -> dict[str, PolicyFeature]:
    """The features of a maskable policy without that of the mask."""
    mask = _OTHER_ACTION_MASK if _OTHER_ACTION_MASK in features else ACTION_MASK
    return {key: feature for key, feature in features.items() if key != mask}


def observation_parts(space: spaces.Space[Any]) -> dict[str, spaces.Space[Any]]:
    """Spaces of the parts of an observation by their keys in a batch, in the order of the space."""
    if isinstance(space, spaces.Dict):
        return {batch_key(part, name): part for name, part in space.spaces.items()}
    return {batch_key(space): space}


def observation_features(space: spaces.Space[Any]) -> dict[str, PolicyFeature]:
    """LeRobot's features of an observation: `(n,)` for a vector, `(C, H, W)` for an image."""
    return {key: _feature(part) for key, part in observation_parts(space).items()}


def mask_feature(space: spaces.Space[Any]) -> PolicyFeature:
    """LeRobot's feature of the mask of an action space: one number per choice, two per binary one."""
    if isinstance(space, spaces.MultiBinary):
        return PolicyFeature(FeatureType.STATE, (2 * flat_size(space),))
    assert isinstance(space, spaces.Discrete | spaces.MultiDiscrete)
    sizes = space.n if isinstance(space, spaces.Discrete) else space.nvec
    return PolicyFeature(FeatureType.STATE, (int(np.sum(sizes)),))


def space_from_features(features: Mapping[str, PolicyFeature]) -> SpaceJSON:
    """JSON form of the space of which only LeRobot's features are known: unbounded vectors, and images.

    One `observation.state` or `observation.image` gives a Box, anything else a Dict.
    """
    forms = {_name(key): _form(feature) for key, feature in features.items()}
    if set(features) in ({OBS_STATE}, {OBS_IMAGE}):
        return next(iter(forms.values()))
    return {"type": "Dict", "spaces": forms}


def _feature(space: spaces.Space[Any]) -> PolicyFeature:
    if is_image(space):
        assert isinstance(space, spaces.Box)
        return PolicyFeature(FeatureType.VISUAL, image_shape(space))
    return PolicyFeature(FeatureType.STATE, (flat_size(space),))


def _form(feature: PolicyFeature) -> SpaceJSON:
    shape = tuple(feature.shape)
    return image_box(shape) if feature.type is FeatureType.VISUAL else unbounded_box(shape)


def _name(key: str) -> str:
    return key.removeprefix(f"{OBS_IMAGES}.").removeprefix(f"{OBS_STR}.")
