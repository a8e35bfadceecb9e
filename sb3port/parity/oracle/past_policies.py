"""What SB3's policies had once and today's lack, put together from what today's have."""

from typing import Any

from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import MlpExtractor, create_mlp
from torch import Tensor, nn

from sb3port.checkpoint.checkpoint import PolicySpec


def as_it_was(cls: type[BasePolicy], spec: PolicySpec) -> type[BasePolicy]:
    """Give a policy class of SB3's, with what it has lost since the checkpoint was saved.

    Args:
        cls: Today's class.
        spec: Says what is needed.
    """
    extras: tuple[type, ...] = ()
    extras += (_SharedLayers,) if spec.net_arch.shared else ()
    extras += (_SdeFeatures,) if spec.sde_net_arch is not None else ()
    return type(cls.__name__, (*extras, cls), {"spec": spec}) if extras else cls


class _SharedLayers:
    """The layers before both nets that SB3 had until 1.7."""

    def _build_mlp_extractor(self: Any) -> None:
        inputs = getattr(self, "lstm_output_dim", self.features_dim)
        self.mlp_extractor = SharedMlpExtractor(inputs, self.spec, self.activation_fn)


class _SdeFeatures:
    """The features extractor for gSDE's noise that SB3 had until 1.2 (`common/policies.py` there)."""

    def _build(self: Any, lr_schedule: Any) -> None:
        super()._build(lr_schedule)  # type: ignore[misc]
        sizes = list(self.spec.sde_net_arch)
        layers = create_mlp(self.features_dim, -1, sizes, self.activation_fn)
        self.sde_features_extractor = nn.Sequential(*layers)
        if self.use_sde:
            self.action_net, self.log_std = self.action_dist.proba_distribution_net(
                self.mlp_extractor.latent_dim_pi, latent_sde_dim=[self.features_dim, *sizes][-1]
            )

    def get_distribution(self: Any, obs: Any) -> Distribution:
        if not self.use_sde:
            return super().get_distribution(obs)  # type: ignore[misc]
        features = self.extract_features(obs)
        mean = self.action_net(self.mlp_extractor.forward_actor(features))
        return self.action_dist.proba_distribution(mean, self.log_std, self.sde_features_extractor(features))

    def evaluate_actions(self: Any, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        distribution = self.get_distribution(obs)
        return self.predict_values(obs), distribution.log_prob(actions), distribution.entropy()


class SharedMlpExtractor(nn.Module):
    """`MlpExtractor` as it was until SB3 1.7, put together from two of today's.

    Args:
        inputs: Width of the features.
        spec: Whose `net_arch` has shared layers.
        activation_fn: Class of the activation.
    """

    def __init__(self, inputs: int, spec: PolicySpec, activation_fn: type[nn.Module]) -> None:
        super().__init__()
        arch = spec.net_arch
        trunk = MlpExtractor(inputs, {"pi": list(arch.shared)}, activation_fn, "cpu")
        nets = {"pi": list(arch.pi), "vf": list(arch.vf)}
        heads = MlpExtractor(arch.shared[-1], nets, activation_fn, "cpu")
        self.shared_net, self.policy_net, self.value_net = trunk.policy_net, heads.policy_net, heads.value_net
        self.latent_dim_pi, self.latent_dim_vf = heads.latent_dim_pi, heads.latent_dim_vf

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of the policy and of the value."""
        shared = self.shared_net(features)
        return self.policy_net(shared), self.value_net(shared)

    def forward_actor(self, features: Tensor) -> Tensor:
        """Latent of the policy."""
        latent: Tensor = self.policy_net(self.shared_net(features))
        return latent

    def forward_critic(self, features: Tensor) -> Tensor:
        """Latent of the value."""
        latent: Tensor = self.value_net(self.shared_net(features))
        return latent
