"""Configuration of the `ppo` policy: all that rebuilds Stable-Baselines3's ActorCriticPolicy."""

import math
from dataclasses import dataclass, field
from typing import Any

from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.optim.optimizers import AdamConfig
from lerobot.utils.constants import ACTION, OBS_STATE

from lerobot_policy_ppo.spaces import SpaceJSON, is_image, space_from_json, unbounded_box


@PreTrainedConfig.register_subclass("ppo")
@dataclass
class PPOConfig(PreTrainedConfig):
    """A policy that PPO, A2C or TRPO trained, in the words of Stable-Baselines3's `ActorCriticPolicy`.

    Args:
        normalization_mapping: Modes of LeRobot's own normalisers. They stay identities, because statistics of
            a dataset would replace those of training; `VecNormalizeProcessorStep` keeps the latter.
        observation_space: JSON form of the Gymnasium observation space (see `lerobot_policy_ppo.spaces`), or
            None to take `observation.state` of `input_features` as an unbounded Box.
        action_space: The same for actions and `action` of `output_features`.
        features_extractor: SB3's name of the features extractor.
        net_arch: Hidden layer sizes of the policy ("pi") and the value network ("vf"); none means linear.
        activation_fn: Name of an activation in `torch.nn`.
        ortho_init: Initialise orthogonally, as SB3 does.
        normalize_images: Divide image observations by 255.
        use_sde: Generalised state-dependent exploration instead of a diagonal Gaussian.
        log_std_init: Initial value of `log_std`.
        full_std: gSDE: one standard deviation per latent feature and action, instead of one per latent
            feature.
        use_expln: gSDE: `expln` instead of `exp` to keep standard deviations positive.
        squash_output: gSDE: squash actions by tanh; they are unscaled to the bounds of the action space.
        optimizer_lr: Learning rate of Adam, used by lerobot-train.
        optimizer_eps: Epsilon of Adam.
        optimizer_grad_clip_norm: Gradient norm at which gradients are clipped.
    """

    # LeRobot's default is True, which makes lerobot-train ask for a repo_id.
    push_to_hub: bool = False

    # Input / output structure.
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(("STATE", "VISUAL", "ACTION"), NormalizationMode.IDENTITY)
    )
    observation_space: dict[str, Any] | None = None
    action_space: dict[str, Any] | None = None

    # Architecture.
    features_extractor: str = "FlattenExtractor"
    net_arch: dict[str, list[int]] = field(default_factory=lambda: {"pi": [64, 64], "vf": [64, 64]})
    activation_fn: str = "Tanh"
    ortho_init: bool = True
    normalize_images: bool = True

    # Action distribution.
    use_sde: bool = False
    log_std_init: float = 0.0
    full_std: bool = True
    use_expln: bool = False
    squash_output: bool = False

    # Training preset.
    optimizer_lr: float = 3e-4
    optimizer_eps: float = 1e-5
    optimizer_grad_clip_norm: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        # Integers become floats here rather than on loading, so that saving again gives the same bytes.
        for name in ("log_std_init", "optimizer_lr", "optimizer_eps", "optimizer_grad_clip_norm"):
            setattr(self, name, float(getattr(self, name)))

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

    def get_optimizer_preset(self) -> AdamConfig:
        """Adam as SB3 sets it up, for lerobot-train."""
        return AdamConfig(
            lr=self.optimizer_lr,
            eps=self.optimizer_eps,
            weight_decay=0.0,
            grad_clip_norm=self.optimizer_grad_clip_norm,
        )

    def get_scheduler_preset(self) -> None:
        """None: the learning rate is constant."""

    def gym_observation_space(self) -> spaces.Box:
        """The observation space as a Gymnasium space.

        Raises:
            ValueError: It is neither given nor derivable, or not a Box of vectors.
        """
        space = self._space("observation_space", self.input_features, OBS_STATE)
        if not isinstance(space, spaces.Box) or is_image(space):
            raise ValueError(f"observation_space is {space}, but only Boxes (no images) are supported.")
        return space

    def gym_action_space(self) -> spaces.Space[Any]:
        """The action space as a Gymnasium space, a Box or a Discrete.

        Raises:
            ValueError: It is neither given nor derivable, or of an unsupported type.
        """
        return self._space("action_space", self.output_features, ACTION)

    def validate_features(self) -> None:
        """Complete spaces and features from one another, and check that they agree.

        Raises:
            ValueError: Something is missing, contradictory or not supported.
        """
        observation, action = self.gym_observation_space(), self.gym_action_space()
        n_obs, n_actions = math.prod(observation.shape), _action_size(action)
        self.observation_space = self.observation_space or unbounded_box(observation.shape)
        self.action_space = self.action_space or unbounded_box(action.shape or (1,))
        if not self.input_features:  # type: ignore[has-type]
            self.input_features = {OBS_STATE: PolicyFeature(FeatureType.STATE, (n_obs,))}
        if not self.output_features:  # type: ignore[has-type]
            self.output_features = {ACTION: PolicyFeature(FeatureType.ACTION, (n_actions,))}
        _check_feature(self.input_features, "input_features", OBS_STATE, n_obs, observation)
        _check_feature(self.output_features, "output_features", ACTION, n_actions, action)
        self._check_architecture()

    def _space(self, name: str, features: dict[str, PolicyFeature] | None, key: str) -> spaces.Space[Any]:
        form: SpaceJSON | None = getattr(self, name)
        if form is None:
            if not features or key not in features:
                raise ValueError(f"PPOConfig needs {name}, or the feature {key!r} to derive it from.")
            form = unbounded_box(tuple(features[key].shape))
        return space_from_json(form, name)

    def _check_architecture(self) -> None:
        if self.features_extractor != "FlattenExtractor":
            raise ValueError(
                f"features_extractor is {self.features_extractor!r}, but only FlattenExtractor is supported."
            )
        if unknown := set(self.net_arch) - {"pi", "vf"}:
            raise ValueError(
                f"net_arch has the keys {sorted(unknown)}, but only 'pi' and 'vf' are supported."
            )
        if self.squash_output and not self.use_sde:
            raise ValueError("squash_output is set without use_sde, but it is supported with gSDE only.")
        if self.use_sde and not isinstance(self.gym_action_space(), spaces.Box):
            raise ValueError(
                f"use_sde is set for {self.gym_action_space()}, but it is supported for Box only."
            )


def _action_size(space: spaces.Space[Any]) -> int:
    """Numbers per action in a batch: `(B, A)` for a Box, `(B, 1)` for a Discrete."""
    return math.prod(space.shape or ())


def _check_feature(
    features: dict[str, PolicyFeature], name: str, key: str, size: int, space: spaces.Space[Any]
) -> None:
    """Features must be exactly the one that the policy handles: ignoring a camera silently would mislead."""
    if set(features) != {key}:
        raise ValueError(f"{name} are {sorted(features)}, but the ppo policy supports exactly {key!r}.")
    shape = tuple(features[key].shape)
    if math.prod(shape) != size:
        raise ValueError(f"{name}[{key!r}] has shape {shape}, but {space} needs {size} numbers.")
