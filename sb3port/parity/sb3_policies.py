"""SB3's and sb3-contrib's own policy classes, built from a checkpoint that was read statically."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common import torch_layers
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor, nn

from sb3port.checkpoint import Array, PolicySpec
from sb3port.families.registry import family_of
from sb3port.spaces import Box, Dict, Discrete, MultiBinary, Space

_CLASSES: dict[str, type[BasePolicy]] = {
    cls.__name__: cls for cls in (ActorCriticPolicy, MaskableActorCriticPolicy, RecurrentActorCriticPolicy)
}


def build_policy(spec: PolicySpec, tensors: Mapping[str, Array]) -> BasePolicy:
    """Build SB3's policy and load the weights strictly."""
    family = family_of(spec)
    cls = _CLASSES[family.name]
    policy: BasePolicy = (_with_shared_layers(cls, spec) if spec.net_arch.shared else cls)(
        policy_space(spec.observation_space),
        gymnasium_space(spec.action_space),
        lambda _: 0.0,
        **_arguments(spec),
    )
    state = {name: torch.from_numpy(tensors[_source_of(name, spec)].copy()) for name in policy.state_dict()}
    policy.load_state_dict(state, strict=True)
    unused = set(tensors) - {_source_of(name, spec) for name in state}
    if unused:
        raise ValueError(f"SB3's policy has no {sorted(unused)}")
    policy.set_training_mode(False)
    return policy


def _arguments(spec: PolicySpec) -> dict[str, Any]:
    arguments = {
        "net_arch": {"pi": list(spec.net_arch.pi), "vf": list(spec.net_arch.vf)},
        "activation_fn": getattr(nn, spec.activation_fn),
        "ortho_init": False,
        "features_extractor_class": getattr(torch_layers, spec.features_extractor),
        "features_extractor_kwargs": dict(spec.features_extractor_kwargs),
        "share_features_extractor": spec.share_features_extractor,
        "normalize_images": spec.normalize_images,
    }
    if not spec.maskable:
        names = ("use_sde", "full_std", "use_expln", "squash_output")
        arguments |= {name: getattr(spec, name) for name in names}
    if spec.lstm_hidden_size is not None:
        names = ("lstm_hidden_size", "n_lstm_layers", "shared_lstm", "enable_critic_lstm")
        arguments |= {name: getattr(spec, name) for name in names}
    return arguments


def _source_of(name: str, spec: PolicySpec) -> str:
    """Name the checkpoint's tensor for one of SB3's, which has the extractor's under three names."""
    name = name.replace("pi_features_extractor.", "features_extractor.")
    shared = spec.share_features_extractor
    return name.replace("vf_features_extractor.", "features_extractor.") if shared else name


def _with_shared_layers(cls: type[BasePolicy], spec: PolicySpec) -> type[BasePolicy]:
    """Give a policy class the layers before both nets that SB3 had until 1.7."""

    def build(self: Any) -> None:
        inputs = getattr(self, "lstm_output_dim", self.features_dim)
        self.mlp_extractor = SharedMlpExtractor(inputs, spec, self.activation_fn)

    return type(f"{cls.__name__}WithSharedLayers", (cls,), {"_build_mlp_extractor": build})


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


def policy_space(space: Space) -> spaces.Space[Any]:
    """Give the space that a policy sees: images as SB3's VecTransposeImage gives them."""
    if isinstance(space, Dict):
        return _dict({key: policy_space(part) for key, part in space.spaces.items()})
    if isinstance(space, Box) and space.is_image:
        return spaces.Box(0, 255, space.channels_first, np.uint8)
    return gymnasium_space(space)


def gymnasium_space(space: Space) -> spaces.Space[Any]:
    """Give the Gymnasium space of the same bounds and type."""
    match space:
        case Box():
            return spaces.Box(space.low, space.high, space.shape, np.dtype(space.dtype).type)
        case Discrete():
            return spaces.Discrete(space.n, start=space.start)
        case MultiBinary():
            return spaces.MultiBinary(space.n)
        case Dict():
            return _dict({key: gymnasium_space(part) for key, part in space.spaces.items()})
    return spaces.MultiDiscrete(space.nvec, start=space.start)


def _dict(parts: dict[str, spaces.Space[Any]]) -> spaces.Dict:
    """Keep the order, which Gymnasium 1.0 and old releases sort."""
    space = spaces.Dict(parts)
    space.spaces = parts
    return space
