"""How the spaces of a Gymnasium environment look to LeRobot's rollout.

LeRobot wants dictionaries of flat vectors, images with their channels last, and actions in vectors of
numbers. It knows the keys `agent_pos` (which becomes `observation.state`) and `pixels` (`observation.image`,
or `observation.images.k` for a dictionary of images), treats some others in its own way, and turns any other
key k into `observation.k`.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.utils.constants import ACTION, OBS_IMAGES, OBS_STR
from numpy.typing import NDArray

from lerobot_policy_ppo.env_policy import ActionFeature, Meeting
from lerobot_policy_ppo.features import mask_feature
from sb3port.checkpoint.spaces import Box, Dict, Simple
from sb3port.families.features import batch_key, mask_key
from sb3port.networks.gymnasium_spaces import is_image, space_of

# Keys that LeRobot's `preprocess_observation` does not pass through as vectors.
_TAKEN = {"pixels", "agent_pos", "robot_state", "policy", "camera_obs"}
_CHOICES = spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary


@dataclass(frozen=True)
class Part:
    """A part of an observation.

    Args:
        space: Its space in the environment.
        name: Its key in a Dict space, or None when it is the whole observation.
    """

    space: spaces.Space[Any]
    name: str | None = None

    @property
    def plain(self) -> Simple:
        """Its space as a plain value."""
        space = space_of(self.space)
        assert not isinstance(space, Dict)
        return space

    @property
    def key(self) -> str:
        """Key of its feature: that of the observation, a slash between `pixels` and the name of an image."""
        if self.name is None:
            return "pixels" if is_image(self.space) else "agent_pos"
        if is_image(self.space):
            return f"pixels/{self.name}"
        return f"dict/{self.name}" if self.name in _TAKEN else self.name

    @property
    def policy_key(self) -> str:
        """Key in the policy's batches."""
        return batch_key(self.name or "", self.plain)

    @property
    def feature(self) -> PolicyFeature:
        """LeRobot's feature: an image with its channels last, or a vector."""
        shape = tuple(self.seen.shape or ())
        return PolicyFeature(FeatureType.VISUAL if is_image(self.space) else FeatureType.STATE, shape)

    @property
    def seen(self) -> spaces.Box:
        """The space that LeRobot sees."""
        if isinstance(self.space, spaces.Box) and not is_image(self.space):
            return spaces.flatten_space(self.space)  # type: ignore[return-value]
        plain = self.plain
        if isinstance(plain, Box):
            channels, height, width = plain.channels_first
            return spaces.Box(0, 255, (height, width, channels), np.uint8)
        info = np.iinfo(np.dtype(self.space.dtype))
        return spaces.Box(info.min, info.max, (self.plain.size,), info.dtype.type)

    def encode(self, raw: Any) -> NDArray[Any]:
        """What LeRobot sees of an observation.

        It gets the dtype of the space, not that of the array: SB3's vector environments store it so.
        """
        array = np.array(raw, dtype=self.space.dtype)
        if not is_image(self.space):
            return array.reshape(-1)
        return array if array.shape == self.seen.shape else array.transpose(1, 2, 0)


def parts_of(space: spaces.Space[Any]) -> list[Part]:
    """The parts of an observation space."""
    if isinstance(space, spaces.Dict):
        return [Part(part, name) for name, part in space.spaces.items()]
    return [Part(space)]


def check_spaces(task: str, env: gym.Env[Any, Any]) -> None:
    """Check that LeRobot can be shown an environment's spaces.

    Raises:
        ValueError: It cannot.
    """
    action, supported = env.action_space, "only Box, Discrete, MultiDiscrete and MultiBinary are supported"
    if not isinstance(action, spaces.Box | _CHOICES):
        raise ValueError(f"{task} has the action space {action}, but {supported}.")
    for part in parts_of(env.observation_space):
        if not isinstance(part.space, spaces.Box | _CHOICES):
            raise ValueError(
                f"{task} has the observation space {part.space}, but {supported} and Dicts of them."
            )
        if is_image(part.space):
            _check_image(task, part.seen.shape)


def features_of(meeting: Meeting) -> tuple[dict[str, PolicyFeature], dict[str, str]]:
    """LeRobot's features of an environment, and which key of the policy each of them is."""
    parts = parts_of(meeting.observation_space)
    features: dict[str, PolicyFeature] = {ACTION: ActionFeature(_size(meeting.action_space), meeting)}
    features |= {part.key: part.feature for part in parts}
    keys = {ACTION: ACTION} | {part.key: part.policy_key for part in parts}
    if meeting.has_masks and meeting.use_masking:
        key = seen_mask_key(meeting.observation_space)
        features[key] = mask_feature(space_of(meeting.action_space))
        keys[key] = mask_key(space_of(meeting.observation_space))
    return features, keys


def seen_mask_key(space: spaces.Space[Any]) -> str:
    """Key of the mask of actions in what LeRobot sees of an observation."""
    return mask_key(space_of(space)).removeprefix(f"{OBS_STR}.")


def renamed_keys(space: spaces.Space[Any]) -> dict[str, str]:
    """Keys that LeRobot gives to parts of an observation, where the policy has other ones."""
    named = [part for part in parts_of(space) if part.name is not None]
    pairs = {
        f"{OBS_IMAGES}.{part.name}" if is_image(part.space) else f"{OBS_STR}.{part.key}": part.policy_key
        for part in named
    }
    return {key: policy_key for key, policy_key in pairs.items() if key != policy_key}


def seen_observation_space(env: gym.Env[Any, Any], has_mask: bool) -> spaces.Dict:
    """The space of what `seen_observation` gives."""
    seen = _nest({part.key: part.seen for part in parts_of(env.observation_space)})
    if has_mask:
        shape = mask_feature(space_of(env.action_space)).shape
        seen[seen_mask_key(env.observation_space)] = spaces.Box(0, 1, shape, np.int8)
    return spaces.Dict({key: spaces.Dict(x) if isinstance(x, dict) else x for key, x in seen.items()})


def seen_observation(space: spaces.Space[Any], raw: Any, mask: NDArray[Any] | None) -> dict[str, Any]:
    """What LeRobot sees of an observation, with the mask of actions where there is one."""
    parts = parts_of(space)
    values = {part.key: part.encode(raw if part.name is None else raw[part.name]) for part in parts}
    return _nest(values) | ({} if mask is None else {seen_mask_key(space): mask})


def seen_action_space(space: spaces.Space[Any]) -> spaces.Box:
    """The space of the vectors that LeRobot gives."""
    if isinstance(space, spaces.Box):
        return spaces.flatten_space(space)  # type: ignore[return-value]
    sizes = space.nvec if isinstance(space, spaces.MultiDiscrete) else getattr(space, "n", 2)
    highest = 1 if isinstance(space, spaces.MultiBinary) else np.asarray(sizes).reshape(-1) - 1
    zeros = np.zeros(_size(space), np.int64)
    return spaces.Box(zeros, zeros + highest, dtype=np.int64)


def _size(space: spaces.Space[Any]) -> int:
    """How many numbers an action of a space has."""
    return int(np.prod(space.shape or ()))


def _nest(values: dict[str, Any]) -> dict[str, Any]:
    """Put what belongs to `pixels/...` into a dictionary of its own."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        outer, _, inner = key.partition("/")
        if outer == "pixels" and inner:
            nested.setdefault(outer, {})[inner] = value
        else:
            nested[key] = value
    return nested


def _check_image(task: str, shape: tuple[int, ...]) -> None:
    height, width, channels = shape
    if channels >= min(height, width):
        raise ValueError(
            f"{task} has images of {height} x {width} pixels with {channels} channels, but LeRobot takes "
            "only images with fewer channels than rows and columns."
        )
