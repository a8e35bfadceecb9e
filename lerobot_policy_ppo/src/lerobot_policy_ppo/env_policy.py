"""Where a policy meets the environment that it shall act in, before any step is taken.

LeRobot's `make_policy(cfg, env_cfg=...)` gives the policy's configuration the features of the environment's
actions. Ours bring along whose they are, so that the policy can look at the environment's spaces.
"""

import logging
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Simple
from sb3port.environments.same_spaces import check_spaces
from sb3port.errors import UsageError
from sb3port.files.texts.terminal import terminal
from sb3port.networks.gymnasium_spaces import gymnasium_space, is_image

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
        spec_here, here = self._as_lerobot_hands_on(spec)
        try:
            sentences = check_spaces(here, spec_here, self.task)
        except UsageError as error:
            raise ValueError(f"{error.message}; {_INSTEAD}.") from error
        for sentence in sentences:
            _logger.warning("%s", terminal("{}.", sentence).plain)
        if spec.maskable and self.use_masking and not self.has_masks:
            raise ValueError(f"{self.task} {_NO_MASKS}.")

    def _as_lerobot_hands_on(self, spec: PolicySpec) -> "tuple[PolicySpec, Meeting]":
        """Give policy and environment as they are compared.

        Observations that have another name here are left out, for there is `--rename_map`, of which the
        policy is not told; what is missing in the end it misses when it is first asked.
        """
        wanted, seen = spec.observation_space, self.observation_space
        if isinstance(wanted, Dict) and isinstance(seen, spaces.Dict):
            wanted = Dict({key: part for key, part in wanted.spaces.items() if key in seen.spaces})
            seen = spaces.Dict(
                {**seen.spaces, **{key: _shaped(seen[key], part) for key, part in wanted.spaces.items()}}
            )
        elif not isinstance(wanted, Dict):
            seen = _shaped(seen, wanted)
        assert not isinstance(spec.action_space, Dict)
        done = _shaped(self.action_space, spec.action_space)
        return replace(spec, observation_space=wanted), replace(
            self, observation_space=seen, action_space=done
        )


def _shaped(space: spaces.Space[Any], want: Simple) -> spaces.Space[Any]:
    """Give a space the shape of the policy's: LeRobot hands vectors on flat, whatever their rank.

    Of a policy that LeRobot made from features alone the size is all that is known.
    """
    if not isinstance(want, Box) or int(np.prod(space.shape or ())) != want.size or is_image(space):
        return space
    if len(want.shape) == 1 and np.isinf(want.low).all() and np.isinf(want.high).all():
        return gymnasium_space(want)
    if not isinstance(space, spaces.Box):
        return space
    low, high = (bound.reshape(want.shape) for bound in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype.type)


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
