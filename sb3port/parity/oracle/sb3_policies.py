"""SB3's and sb3-contrib's own policy classes, built from a checkpoint that was read statically."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from sb3port.checkpoint.checkpoint import Array, PolicySpec, ReplaySpec
from sb3port.families.extractors import extractor_of, is_own
from sb3port.families.registry import family_of
from sb3port.networks.gymnasium_spaces import gymnasium_space, policy_space
from sb3port.networks.mlp import activation_class
from sb3port.networks.own_extractors import registered_extractor
from sb3port.parity.oracle.past_policies import as_it_was
from sb3port.parity.oracle.recurrent_maskable import RecurrentMaskableActorCriticPolicy
from sb3port.parity.oracle.sb3_replay import (
    REPLAY_ALGORITHMS,
    replay_arguments,
    replay_class,
    replay_source,
)

ON_POLICY: dict[str, type[OnPolicyAlgorithm]] = {
    "ppo": PPO,
    "a2c": A2C,
    "trpo": TRPO,
    "ppo_mask": MaskablePPO,
    "ppo_lstm": RecurrentPPO,
}
ALGORITHMS: dict[str, type[BaseAlgorithm]] = {**ON_POLICY, **REPLAY_ALGORITHMS}
_CLASSES: dict[str, type[BasePolicy]] = {
    cls.__name__: cls
    for cls in (
        ActorCriticPolicy,
        MaskableActorCriticPolicy,
        RecurrentActorCriticPolicy,
        RecurrentMaskableActorCriticPolicy,
    )
}
# Packages that cannot be installed beside today's SB3, and where their classes are written down again.
_STAND_INS = {"imitation.policies.base": "sb3port.parity.oracle.imitation_extractors"}


def build_policy(spec: PolicySpec, tensors: Mapping[str, Array]) -> Any:
    """Build SB3's policy and load the weights strictly."""
    if isinstance(spec, ReplaySpec):
        return _build_replay(spec, tensors)
    cls = _CLASSES[family_of(spec).name]
    policy: Any = as_it_was(cls, spec)(
        policy_space(spec.observation_space),
        gymnasium_space(spec.action_space),
        lambda _: 0.0,
        **_arguments(spec),
    )
    # Told afterwards, because the constructor refuses it without gSDE, as it was possible before 2.2.1.
    policy._squash_output = spec.squash_output
    load_weights(policy, spec, tensors)
    policy.set_training_mode(False)
    return policy


def _build_replay(spec: ReplaySpec, tensors: Mapping[str, Array]) -> Any:
    no_schedule = () if spec.algorithm == "ars" else (lambda _: 0.0,)
    policy: Any = replay_class(spec)(
        policy_space(spec.observation_space),
        gymnasium_space(spec.action_space),
        *no_schedule,
        **replay_arguments(spec, extractor_arguments(spec)),
    )
    load_weights(policy, spec, tensors)
    policy.set_training_mode(False)
    return policy


def extractor_arguments(spec: PolicySpec) -> dict[str, Any]:
    """Give the keyword arguments of a policy that tell its features extractor."""
    return {
        "features_extractor_class": _extractor_class(spec.features_extractor),
        "features_extractor_kwargs": dict(spec.features_extractor_kwargs),
    }


def load_weights(policy: BasePolicy, spec: PolicySpec, tensors: Mapping[str, Array]) -> None:
    """Load a checkpoint's tensors into one of SB3's policies, strictly.

    Raises:
        ValueError: The policy has no place for a tensor.
    """
    state = {name: torch.from_numpy(tensors[_source_of(name, spec)].copy()) for name in policy.state_dict()}
    policy.load_state_dict(state, strict=True)
    unused = set(tensors) - {_source_of(name, spec) for name in state}
    if unused:
        raise ValueError(f"SB3's policy has no {sorted(unused)}")


def _arguments(spec: PolicySpec) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "net_arch": {"pi": list(spec.net_arch.pi), "vf": list(spec.net_arch.vf)},
        "activation_fn": activation_class(spec.activation_fn),
        "ortho_init": False,
        **extractor_arguments(spec),
        "share_features_extractor": spec.share_features_extractor,
        "normalize_images": spec.normalize_images,
    }
    if not spec.maskable:
        arguments |= {name: getattr(spec, name) for name in ("use_sde", "full_std", "use_expln")}
        arguments["squash_output"] = spec.squash_output and spec.use_sde
    if spec.lstm_hidden_size is not None:
        names = ("lstm_hidden_size", "n_lstm_layers", "shared_lstm", "enable_critic_lstm")
        arguments |= {name: getattr(spec, name) for name in names}
    return arguments


def _extractor_class(name: str) -> Any:
    """Give the class from where it comes from; the user's own must have been registered."""
    if is_own(name):
        return registered_extractor(name)
    extractor = extractor_of(name, {})
    module = _STAND_INS.get(extractor.module, extractor.module)
    return getattr(import_module(module), extractor.name)


def _source_of(name: str, spec: PolicySpec) -> str:
    """Name the checkpoint's tensor for one of SB3's, which has the extractor's under three names."""
    if isinstance(spec, ReplaySpec):
        return replay_source(name, spec)
    name = name.replace("pi_features_extractor.", "features_extractor.")
    shared = spec.share_features_extractor
    return name.replace("vf_features_extractor.", "features_extractor.") if shared else name
