"""Where a policy meets the environment that it shall act in, before any step is taken.

LeRobot's `make_policy(cfg, env_cfg=...)` gives the policy's configuration the features of the environment's
actions. Ours bring along whose they are, so that the policy can look at the environment's spaces.
"""

import logging
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Dict
from sb3port.environments.same_spaces import check_spaces
from sb3port.errors import UsageError
from sb3port.files.texts.terminal import terminal

_INSTEAD = (
    "name the environment of the training with --env.task, its arguments with --env.env_kwargs, and what was "
    "around it with --env.wrappers"
)
_NO_MASKS = (
    'has neither a method action_masks() nor "action_mask" in its info, but the policy was trained to be '
    "told what is allowed: wrap it in sb3-contrib's ActionMasker, or allow all actions with "
    "--env.use_masking=false"
)

_logger = logging.getLogger(__name__)


@dataclass
class Meeting:
    """What a policy has to know of an environment.

    Args:
        task: Gymnasium id.
        observation_space, action_space: Of the environment itself, as SB3 would see it.
        has_masks: Whether it says which actions are allowed.
        use_masking: Whether that is wanted.
    """

    task: str
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    has_masks: bool
    use_masking: bool

    @classmethod
    def of(cls, task: str, env: gym.Env[Any, Any], has_masks: bool, use_masking: bool) -> "Meeting":
        """Describe an environment that may be closed afterwards."""
        return cls(task, env.observation_space, env.action_space, has_masks, use_masking)

    def check(self, spec: PolicySpec) -> None:
        """Refuse what SB3 and sb3-contrib refuse, and warn where they warn; see `same_spaces`.

        Raises:
            ValueError: The policy would see or do something else than it learnt.
        """
        try:
            sentences = check_spaces(self, self._named_alike(spec), self.task)
        except UsageError as error:
            raise ValueError(f"{error.message}; {_INSTEAD}.") from error
        for sentence in sentences:
            _logger.warning("%s", terminal("{}.", sentence).plain)
        if spec.maskable and self.use_masking and not self.has_masks:
            raise ValueError(f"{self.task} {_NO_MASKS}.")

    def _named_alike(self, spec: PolicySpec) -> PolicySpec:
        """Leave out observations that have other names here, for which there is `--rename_map`.

        The policy is not told of that; what is missing in the end it misses when it is first asked.
        """
        wanted, seen = spec.observation_space, self.observation_space
        if not isinstance(wanted, Dict) or not isinstance(seen, spaces.Dict):
            return spec
        alike = {key: part for key, part in wanted.spaces.items() if key in seen.spaces}
        return replace(spec, observation_space=Dict(alike))


class ActionFeature(PolicyFeature):
    """LeRobot's feature of the actions of an environment, with the environment that they are of.

    Args:
        size: How many numbers an action has.
        meeting: The environment.
    """

    def __init__(self, size: int, meeting: Meeting) -> None:
        super().__init__(FeatureType.ACTION, (size,))
        self.meeting = meeting

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PolicyFeature):
            return NotImplemented
        return (self.type, self.shape) == (other.type, other.shape)

    __hash__ = None  # type: ignore[assignment]  # as those of LeRobot have none

    @property
    def plain(self) -> PolicyFeature:
        """The feature alone, as it is saved."""
        return PolicyFeature(self.type, self.shape)
