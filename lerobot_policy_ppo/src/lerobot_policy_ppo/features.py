"""LeRobot's features of observations and actions, and the spaces of which only features are known."""

import math
from collections.abc import Mapping

import numpy as np
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.utils.constants import OBS_IMAGE, OBS_IMAGES, OBS_STATE, OBS_STR

from sb3port.checkpoint.spaces import Box, Dict, Simple, Space, parts
from sb3port.families.features import MASK_KEYS, ONE_IMAGE, batch_key, choices


def observation_features(space: Space) -> dict[str, PolicyFeature]:
    """LeRobot's features of an observation: `(n,)` for a vector, `(C, H, W)` for an image."""
    return {batch_key(name, part): _feature(part) for name, part in parts(space).items()}


def mask_feature(space: Space) -> PolicyFeature:
    """LeRobot's feature of the mask of an action space: one number per choice, two per binary one."""
    return PolicyFeature(FeatureType.STATE, (choices(space),))


def without_mask(features: Mapping[str, PolicyFeature]) -> dict[str, PolicyFeature]:
    """The features of a maskable policy without that of the mask."""
    mask = next((key for key in reversed(MASK_KEYS) if key in features), None)
    return {key: feature for key, feature in features.items() if key != mask}


def space_from_features(features: Mapping[str, PolicyFeature]) -> Space:
    """The space of which only LeRobot's features are known: unbounded vectors, and images.

    One `observation.state` or `observation.image` gives a Box, anything else a Dict.
    """
    found = {_name(key): _space(feature) for key, feature in features.items()}
    return next(iter(found.values())) if set(features) in ({OBS_STATE}, {OBS_IMAGE}) else Dict(found)


def unbounded_box(shape: tuple[int, ...]) -> Box:
    """A float32 Box without bounds, for features of which only the shape is known."""
    return Box(shape, "float32", *(np.full(shape, bound, np.float32) for bound in (-np.inf, np.inf)))


def check_features(
    name: str,
    features: Mapping[str, PolicyFeature],
    expected: Mapping[str, PolicyFeature],
    optional: Mapping[str, PolicyFeature] | None = None,
) -> None:
    """Check that features are exactly those of a space: ignoring a camera silently would mislead.

    Raises:
        ValueError: One is missing, too many or of another size.
    """
    known = {**expected, **(optional or {})}
    if not set(expected) <= set(features) <= set(known):
        raise ValueError(f"{name} are {sorted(features)}, but the policy has exactly {sorted(known)}.")
    for key, feature in features.items():
        shape, size = tuple(feature.shape), math.prod(known[key].shape)
        if math.prod(shape) != size:
            raise ValueError(f"{name}[{key!r}] has shape {shape}, but the space needs {size} numbers.")


def _feature(space: Simple) -> PolicyFeature:
    if isinstance(space, Box) and space.is_image:
        return PolicyFeature(FeatureType.VISUAL, space.channels_first)
    return PolicyFeature(FeatureType.STATE, (space.size,))


def _space(feature: PolicyFeature) -> Box:
    shape = tuple(feature.shape)
    if feature.type is FeatureType.VISUAL:
        return Box(shape, "uint8", np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8))
    return unbounded_box(shape)


def _name(key: str) -> str:
    if key == OBS_IMAGE:
        return ONE_IMAGE
    return key.removeprefix(f"{OBS_IMAGES}.").removeprefix(f"{OBS_STR}.")
