"""Configuration of the `ppo` policy: all that rebuilds Stable-Baselines3's ActorCriticPolicy."""

from dataclasses import dataclass, field, fields
from typing import Any

from lerobot.configs.policies import PreTrainedConfig
from lerobot.optim.optimizers import AdamConfig

from lerobot_policy_ppo.configuration_spaces import SpacesConfig
from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.families.algorithms import algorithm_for
from sb3port.networks.architecture import check_architecture

_NETWORKS = ("shared", "pi", "vf")
# What a spec says in the words of `sb3port`, and what it does not know.
_OTHERS = {"algorithm", "observation_space", "action_space", "net_arch", "sde_net_arch", "assumed"}


@PreTrainedConfig.register_subclass("ppo")
@dataclass
class PPOConfig(SpacesConfig):
    """A policy that PPO, A2C, TRPO, MaskablePPO or RecurrentPPO trained, in the words of Stable-Baselines3.

    Args:
        normalization_mapping, observation_space, action_space: See `SpacesConfig`.
        features_extractor: Name of one of `sb3port.families.extractors`, such as NatureCNN; or
            `module:Class` of one of your own, which is imported only if you say so.
        features_extractor_kwargs: Its arguments: `features_dim` of NatureCNN, `cnn_output_dim` of
            CombinedExtractor.
        share_features_extractor: One features extractor for the policy and the value, instead of two.
        net_arch: Hidden layer sizes of the policy ("pi") and the value network ("vf"), after those of what
            they share ("shared", SB3 before 1.8); none means linear.
        activation_fn: An activation of `torch.nn`, such as "Tanh" or "LeakyReLU(negative_slope=0.2)".
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

    def get_optimizer_preset(self) -> AdamConfig:
        """Adam as SB3 sets it up, for lerobot-train."""
        return AdamConfig(
            lr=self.optimizer_lr,
            eps=self.optimizer_eps,
            weight_decay=0.0,
            grad_clip_norm=self.optimizer_grad_clip_norm,
        )

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

    def check_spec(self, spec: PolicySpec) -> None:
        """See `SpacesConfig`."""
        check_architecture(spec)

    @property
    def has_masks(self) -> bool:
        """Whether the policy is told which actions are allowed."""
        return self.maskable
