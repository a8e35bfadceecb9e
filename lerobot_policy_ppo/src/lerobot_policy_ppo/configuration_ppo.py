"""Configuration of the `ppo` policy: all that rebuilds Stable-Baselines3's ActorCriticPolicy."""

from dataclasses import dataclass, field, fields
from typing import Any

from gymnasium import spaces
from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.optim.optimizers import AdamConfig
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
from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.checkpoint.spaces import Dict, Simple, Space, space_from_json
from sb3port.errors import NotPortable
from sb3port.families.algorithms import algorithm_for
from sb3port.families.features import mask_key
from sb3port.networks.architecture import check_architecture
from sb3port.networks.gymnasium_spaces import gymnasium_space

_NETWORKS = ("shared", "pi", "vf")
# What a spec says in the words of `sb3port`, and what it does not know.
_OTHERS = {"algorithm", "observation_space", "action_space", "net_arch", "sde_net_arch", "assumed"}


@PreTrainedConfig.register_subclass("ppo")
@dataclass
class PPOConfig(PreTrainedConfig):
    """A policy that PPO, A2C, TRPO, MaskablePPO or RecurrentPPO trained, in the words of Stable-Baselines3.

    Args:
        normalization_mapping: Modes of LeRobot's own normalisers. They stay identities, because statistics of
            a dataset would replace those of training; `VecNormalizeProcessorStep` keeps the latter.
        observation_space: JSON form of the Gymnasium observation space (see `sb3port.checkpoint.spaces`), or
            None to take `input_features`: vectors as unbounded Boxes, images, several of them as a Dict.
        action_space: The same for actions and `action` of `output_features`, as an unbounded Box.
        features_extractor: Name of one of `sb3port.families.extractors`, such as NatureCNN; or
            `module:Class` of one of your own, which is imported only if you say so.
        features_extractor_kwargs: Its arguments: `features_dim` of NatureCNN, `cnn_output_dim` of
            CombinedExtractor.
        share_features_extractor: One features extractor for the policy and the value, instead of two.
        net_arch: Hidden layer sizes of the policy ("pi") and the value network ("vf"), after those of what
            they share ("shared", SB3 before 1.8); none means linear.
        activation_fn: Name of an activation in `torch.nn`.
        ortho_init: Initialise orthogonally, as SB3 does.
        normalize_images: Divide image observations by 255.
        use_sde: Generalised state-dependent exploration instead of a diagonal Gaussian.
        log_std_init: Initial value of `log_std`.
        full_std: gSDE: one standard deviation per latent feature and action, instead of one per latent
            feature.
        use_expln: gSDE: `expln` instead of `exp` to keep standard deviations positive.
        sde_net_arch: gSDE: layer sizes of an extractor of its own for the noise (SB3 before 1.3), from the
            features; none means the features themselves, None the policy's latent.
        squash_output: Actions are unscaled from [-1, 1] to the bounds of the action space; gSDE squashes
            them by tanh before, a diagonal Gaussian (SB3 before 2.2.1) does not.
        maskable: MaskablePPO: `observation.action_mask` says which choices are allowed, or
            `observation.policy.action_mask` where a Dict observation has that key itself.
        lstm_hidden_size: RecurrentPPO: units of an LSTM layer; None means no LSTM.
        n_lstm_layers: RecurrentPPO: layers of an LSTM.
        shared_lstm: RecurrentPPO: the critic sees what the actor's LSTM gives.
        enable_critic_lstm: RecurrentPPO: the critic has an LSTM of its own.
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
    features_extractor_kwargs: dict[str, Any] = field(default_factory=dict)
    share_features_extractor: bool = True
    net_arch: dict[str, list[int]] = field(default_factory=lambda: {"pi": [64, 64], "vf": [64, 64]})
    activation_fn: str = "Tanh"
    ortho_init: bool = True
    normalize_images: bool = True

    # Action distribution.
    use_sde: bool = False
    log_std_init: float = 0.0
    full_std: bool = True
    use_expln: bool = False
    sde_net_arch: list[int] | None = None
    squash_output: bool = False
    maskable: bool = False

    # Memory.
    lstm_hidden_size: int | None = None
    n_lstm_layers: int = 1
    shared_lstm: bool = False
    enable_critic_lstm: bool = True

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
    def spec(self) -> PolicySpec:
        """What the policy computes, in the form that `sb3port.networks` takes.

        Raises:
            ValueError: A space is neither given nor derivable, or of an unsupported type.
        """
        if unknown := set(self.net_arch) - set(_NETWORKS):
            raise ValueError(f"net_arch has the keys {sorted(unknown)}, but only {_NETWORKS} are supported.")
        layers = {name: tuple(self.net_arch.get(name, ())) for name in _NETWORKS}
        plain = {f.name: getattr(self, f.name) for f in fields(PolicySpec) if f.name not in _OTHERS}
        return PolicySpec(
            algorithm=algorithm_for(self.maskable, self.lstm_hidden_size is not None),
            observation_space=self._observations(),
            action_space=self._actions(),
            net_arch=NetArch(**layers),
            sde_net_arch=None if self.sde_net_arch is None else tuple(self.sde_net_arch),
            **plain,
        )

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
        check_architecture(spec)
        inputs = observation_features(spec.observation_space)
        mask = {mask_key(spec.observation_space): mask_feature(spec.action_space)} if self.maskable else {}
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
            raise ValueError("PPOConfig needs observation_space, or input_features to derive it from.")
        return space_from_features(
            without_mask(self.input_features) if self.maskable else self.input_features
        )

    def _actions(self) -> Simple:
        if self.action_space is None:
            if ACTION not in (self.output_features or {}):
                raise ValueError(
                    f"PPOConfig needs action_space, or the feature {ACTION!r} to derive it from."
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
