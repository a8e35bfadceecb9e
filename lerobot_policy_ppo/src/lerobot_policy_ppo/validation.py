"""What a `PPOConfig` may combine: each check raises a ValueError of one sentence."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gymnasium import spaces
from lerobot.configs.types import PolicyFeature

if TYPE_CHECKING:
    from lerobot_policy_ppo.configuration_ppo import PPOConfig

_NETWORKS = ("shared", "pi", "vf")


def check_architecture(config: "PPOConfig", action: spaces.Space[Any]) -> None:
    """Check that the options fit one another and the action space.

    Raises:
        ValueError: They do not.
    """
    if unknown := set(config.net_arch) - set(_NETWORKS):
        raise ValueError(f"net_arch has the keys {sorted(unknown)}, but only {_NETWORKS} are supported.")
    _check_exploration(config, action)
    if config.maskable:
        _check_maskable(config, action)
    _check_memory(config)


def check_features(
    name: str,
    features: Mapping[str, PolicyFeature],
    expected: Mapping[str, PolicyFeature],
    optional: Mapping[str, PolicyFeature] | None = None,
) -> None:
    """Check that features are exactly those of a space: ignoring a camera silently would mislead.

    Raises:
        ValueError: One is missing, too many or of another size.
    """
    known = {**expected, **(optional or {})}
    if not set(expected) <= set(features) <= set(known):
        raise ValueError(f"{name} are {sorted(features)}, but the policy has exactly {sorted(known)}.")
    for key, feature in features.items():
        shape, size = tuple(feature.shape), math.prod(known[key].shape)
        if math.prod(shape) != size:
            raise ValueError(f"{name}[{key!r}] has shape {shape}, but the space needs {size} numbers.")


def _check_exploration(config: "PPOConfig", action: spaces.Space[Any]) -> None:
    if config.use_sde and not isinstance(action, spaces.Box):
        raise ValueError(f"use_sde is set for {action}, but it is supported for Box only.")
    if config.sde_net_arch is not None and config.lstm_hidden_size is not None:
        raise ValueError("sde_net_arch and lstm_hidden_size are both set, but SB3 never had such a policy.")


def _check_maskable(config: "PPOConfig", action: spaces.Space[Any]) -> None:
    if isinstance(action, spaces.Box):
        raise ValueError(f"maskable is set, but action_space is {action}, which has no choices to mask.")
    if config.lstm_hidden_size is not None:
        raise ValueError("maskable and lstm_hidden_size are both set, but sb3-contrib has no such policy.")


def _check_memory(config: "PPOConfig") -> None:
    if config.lstm_hidden_size is None:
        if config.shared_lstm:
            raise ValueError("shared_lstm is set without lstm_hidden_size, so there is nothing to share.")
        return
    for name in ("lstm_hidden_size", "n_lstm_layers"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}, but it must be at least 1.")
    if config.shared_lstm and config.enable_critic_lstm:
        raise ValueError("shared_lstm and enable_critic_lstm are both set, but they exclude each other.")
    if config.shared_lstm and not config.share_features_extractor:
        raise ValueError("shared_lstm is set without share_features_extractor, which it needs.")
