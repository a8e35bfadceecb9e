"""Configurations of the policies of several networks: a type of LeRobot's for each algorithm of SB3's.

They are `sb3_sac`, `sb3_td3`, `sb3_ddpg`, `sb3_dqn`, `sb3_qrdqn`, `sb3_tqc`, `sb3_crossq` and `sb3_ars`.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from lerobot.configs.policies import PreTrainedConfig
from lerobot.optim.optimizers import AdamConfig

from lerobot_policy_ppo.configuration_spaces import SpacesConfig
from sb3port.checkpoint.checkpoint import NetArch, PolicySpec, ReplaySpec
from sb3port.networks.replay.policy import check_replay

_NETWORKS = ("pi", "qf")
# What a spec says in the words of `sb3port`, and what these policies do not have.
_OTHERS = {
    "algorithm",
    "observation_space",
    "action_space",
    "net_arch",
    "sde_net_arch",
    "assumed",
    "ortho_init",
}
_OTHERS |= {"maskable", "lstm_hidden_size", "n_lstm_layers", "shared_lstm", "enable_critic_lstm"}


@dataclass
class Sb3Config(SpacesConfig):
    """A policy of SB3's or sb3-contrib's that is made of several networks, in their words.

    Args:
        normalization_mapping, observation_space, action_space: See `SpacesConfig`.
        features_extractor: Name of one of `sb3port.families.extractors`, such as NatureCNN; or
            `module:Class` of one of your own, which is imported only if you say so.
        features_extractor_kwargs: Its arguments: `features_dim` of NatureCNN, `cnn_output_dim` of
            CombinedExtractor.
        share_features_extractor: One features extractor for actor and critics, instead of one for each.
        net_arch: Hidden layer sizes of the actor ("pi") and of each critic ("qf"), or of the network that
            values choices.
        sde_net_arch: gSDE: layer sizes of an extractor of its own for the noise (SB3 before 1.3).
        activation_fn: An activation of `torch.nn`, such as "ReLU" or "LeakyReLU(negative_slope=0.2)".
        normalize_images: Divide image observations by 255.
        use_sde: Generalised state-dependent exploration instead of a squashed Gaussian.
        log_std_init: gSDE: initial value of `log_std`.
        full_std: gSDE: one standard deviation per latent feature and action.
        use_expln: gSDE: `expln` instead of `exp` to keep standard deviations positive.
        clip_mean: gSDE: bound of the means, 0 for none.
        squash_output: Actions are in [-1, 1], and unscaled to the bounds of the action space.
        n_critics: How many critics there are.
        n_quantiles: Quantiles that a critic gives for an action, 0 where it gives its value alone.
        batch_norm, batch_norm_momentum, batch_norm_eps, renorm_warmup_steps: CrossQ's BatchRenorm.
        with_bias: Whether layers have biases.
        exploration_rate: How often an action is a random one where actions are not deterministic.
    """

    algorithm: ClassVar[str] = "sac"

    features_extractor: str = "FlattenExtractor"
    features_extractor_kwargs: dict[str, Any] = field(default_factory=dict)
    share_features_extractor: bool = False
    net_arch: dict[str, list[int]] = field(default_factory=lambda: {"pi": [256, 256], "qf": [256, 256]})
    sde_net_arch: list[int] | None = None
    activation_fn: str = "ReLU"
    normalize_images: bool = True
    use_sde: bool = False
    log_std_init: float = -3.0
    full_std: bool = True
    use_expln: bool = False
    clip_mean: float = 2.0
    squash_output: bool = True
    n_critics: int = 2
    n_quantiles: int = 0
    batch_norm: bool = False
    batch_norm_momentum: float = 0.01
    batch_norm_eps: float = 0.001
    renorm_warmup_steps: int = 100_000
    with_bias: bool = True
    exploration_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        # Integers become floats here rather than on loading, so that saving again gives the same bytes.
        for name in (
            "log_std_init",
            "clip_mean",
            "batch_norm_momentum",
            "batch_norm_eps",
            "exploration_rate",
        ):
            setattr(self, name, float(getattr(self, name)))

    def get_optimizer_preset(self) -> AdamConfig:
        """Adam with SB3's defaults, which LeRobot asks for; these policies are not trained by it."""
        return AdamConfig(lr=3e-4, weight_decay=0.0)

    @property
    def spec(self) -> PolicySpec:
        """What the policy computes, in the form that `sb3port.networks` takes.

        Raises:
            ValueError: A space is neither given nor derivable, or of an unsupported type.
        """
        if unknown := set(self.net_arch) - set(_NETWORKS):
            raise ValueError(f"net_arch has the keys {sorted(unknown)}, but only {_NETWORKS} are supported.")
        plain = {f.name: getattr(self, f.name) for f in fields(ReplaySpec) if f.name not in _OTHERS}
        layers = {name: tuple(self.net_arch.get(name, ())) for name in _NETWORKS}
        return ReplaySpec(
            algorithm=self.algorithm,
            observation_space=self._observations(),
            action_space=self._actions(),
            net_arch=NetArch(**layers),
            sde_net_arch=None if self.sde_net_arch is None else tuple(self.sde_net_arch),
            **plain,
        )

    def check_spec(self, spec: PolicySpec) -> None:
        """See `SpacesConfig`."""
        assert isinstance(spec, ReplaySpec)
        check_replay(spec)


@PreTrainedConfig.register_subclass("sb3_sac")
@dataclass
class Sb3SacConfig(Sb3Config):
    """A policy that SAC trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "sac"


@PreTrainedConfig.register_subclass("sb3_td3")
@dataclass
class Sb3Td3Config(Sb3Config):
    """A policy that TD3 trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "td3"


@PreTrainedConfig.register_subclass("sb3_ddpg")
@dataclass
class Sb3DdpgConfig(Sb3Config):
    """A policy that DDPG trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "ddpg"


@PreTrainedConfig.register_subclass("sb3_dqn")
@dataclass
class Sb3DqnConfig(Sb3Config):
    """A policy that DQN trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "dqn"


@PreTrainedConfig.register_subclass("sb3_qrdqn")
@dataclass
class Sb3QrdqnConfig(Sb3Config):
    """A policy that QR-DQN trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "qrdqn"


@PreTrainedConfig.register_subclass("sb3_tqc")
@dataclass
class Sb3TqcConfig(Sb3Config):
    """A policy that TQC trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "tqc"


@PreTrainedConfig.register_subclass("sb3_crossq")
@dataclass
class Sb3CrossqConfig(Sb3Config):
    """A policy that CrossQ trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "crossq"


@PreTrainedConfig.register_subclass("sb3_ars")
@dataclass
class Sb3ArsConfig(Sb3Config):
    """A policy that ARS trained; see `Sb3Config`."""

    algorithm: ClassVar[str] = "ars"
