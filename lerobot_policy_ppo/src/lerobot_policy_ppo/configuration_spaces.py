"""What our configurations have in common: spaces, features, and how they meet an environment."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.utils.constants import ACTION

from lerobot_policy_ppo.env_policy import ActionFeature
from lerobot_policy_ppo.features import (
    check_features,
    mask_feature,
    observation_features,
    space_from_features,
    unbounded_box,
    without_mask,
)
from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Dict, Simple, Space, space_from_json
from sb3port.errors import NotPortable
from sb3port.families.features import mask_key
from sb3port.networks.gymnasium_spaces import gymnasium_space


@dataclass
class SpacesConfig(PreTrainedConfig):
    """The configuration of a policy that sees and acts in Gymnasium's spaces.

    Args:
        normalization_mapping: Modes of LeRobot's own normalisers. They stay identities, because statistics of
            a dataset would replace those of training; `VecNormalizeProcessorStep` keeps the latter.
        observation_space: JSON form of the Gymnasium observation space (see `sb3port.checkpoint.spaces`), or
            None to take `input_features`: vectors as unbounded Boxes, images, several of them as a Dict.
        action_space: The same for actions and `action` of `output_features`, as an unbounded Box.
    """

    # LeRobot's default is True, which makes lerobot-train ask for a repo_id.
    push_to_hub: bool = False

    # Input / output structure.
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(("STATE", "VISUAL", "ACTION"), NormalizationMode.IDENTITY)
    )
    observation_space: dict[str, Any] | None = None
    action_space: dict[str, Any] | None = None

    @property
    def observation_delta_indices(self) -> None:
        """None: the policy sees the current observation only."""
        return None

    @property
    def action_delta_indices(self) -> None:
        """None: the policy gives one action, no chunk."""
        return None

    @property
    def reward_delta_indices(self) -> None:
        """None: no rewards are read."""
        return None

    def get_scheduler_preset(self) -> None:
        """None: the learning rate is constant."""

    def gym_observation_space(self) -> spaces.Space[Any]:
        """The observation space as a Gymnasium space.

        Raises:
            ValueError: It is neither given nor derivable, or of an unsupported type.
        """
        return gymnasium_space(self._observations())

    def gym_action_space(self) -> spaces.Space[Any]:
        """The action space as a Gymnasium space.

        Raises:
            ValueError: It is neither given nor derivable, or of an unsupported type.
        """
        return gymnasium_space(self._actions())

    @property
    @abstractmethod
    def spec(self) -> PolicySpec:
        """What the policy computes, in the form that `sb3port.networks` takes.

        Raises:
            ValueError: A space is neither given nor derivable, or of an unsupported type.
        """

    @abstractmethod
    def check_spec(self, spec: PolicySpec) -> None:
        """Check that options fit one another and the action space.

        Raises:
            ValueError: They do not.
        """

    @property
    def has_masks(self) -> bool:
        """Whether the policy is told which actions are allowed."""
        return False

    def validate_features(self) -> None:
        """Complete spaces and features from one another, and check that they agree.

        Raises:
            ValueError: Something is missing, contradictory or not supported; or the policy cannot act in the
                environment that LeRobot makes it for, see `sb3port.environments.same_spaces`.
        """
        spec = self.spec
        self._meet_environment(spec)
        self.observation_space = self.observation_space or spec.observation_space.to_json()
        self.action_space = self.action_space or spec.action_space.to_json()
        self.check_spec(spec)
        inputs = observation_features(spec.observation_space)
        mask = {mask_key(spec.observation_space): mask_feature(spec.action_space)} if self.has_masks else {}
        outputs = {ACTION: PolicyFeature(FeatureType.ACTION, (self._actions().size,))}
        if not self.input_features:  # type: ignore[has-type]
            self.input_features = inputs | mask
        if not self.output_features:  # type: ignore[has-type]
            self.output_features = outputs
        check_features("input_features", self.input_features, inputs, optional=mask)
        check_features("output_features", self.output_features, outputs)

    def _meet_environment(self, spec: PolicySpec) -> None:
        """Check the environment that LeRobot has put into the features, whose spaces a new policy takes."""
        feature = (self.output_features or {}).get(ACTION)
        if not isinstance(feature, ActionFeature):
            return
        if self.observation_space is not None and self.action_space is not None:
            feature.meeting.check(spec)
        self.output_features = {**self.output_features, ACTION: feature.plain}

    def _observations(self) -> Space:
        if self.observation_space is not None:
            return _space(self.observation_space, "observation_space")
        if not self.input_features:
            raise ValueError(
                f"{type(self).__name__} needs observation_space, or input_features to derive it from."
            )
        return space_from_features(
            without_mask(self.input_features) if self.has_masks else self.input_features
        )

    def _actions(self) -> Simple:
        if self.action_space is None:
            if ACTION not in (self.output_features or {}):
                raise ValueError(
                    f"{type(self).__name__} needs action_space, or the feature {ACTION!r} to derive it from."
                )
            return unbounded_box(tuple(self.output_features[ACTION].shape))
        space = _space(self.action_space, "action_space")
        if isinstance(space, Dict):
            raise ValueError(f"action_space is {space}, but SB3 has no policies for it.")
        return space


def _space(form: dict[str, Any], where: str) -> Space:
    try:
        return space_from_json(form, where)
    except NotPortable as error:
        raise ValueError(f"{error.message}.") from error
