"""What a policy may combine: each check raises a ValueError of one sentence."""

from sb3port.checkpoint.checkpoint import PolicySpec
from sb3port.checkpoint.spaces import Box


def check_architecture(spec: PolicySpec) -> None:
    """Check that the options fit one another and the action space.

    Raises:
        ValueError: They do not.
    """
    _check_exploration(spec)
    if spec.maskable:
        _check_maskable(spec)
    _check_memory(spec)


def _check_exploration(spec: PolicySpec) -> None:
    if spec.use_sde and not isinstance(spec.action_space, Box):
        raise ValueError(f"use_sde is set for {spec.action_space}, but it is supported for Box only.")
    if spec.sde_net_arch is not None and spec.lstm_hidden_size is not None:
        raise ValueError("sde_net_arch and lstm_hidden_size are both set, but SB3 never had such a policy.")


def _check_maskable(spec: PolicySpec) -> None:
    if isinstance(spec.action_space, Box):
        raise ValueError(
            f"maskable is set, but action_space is {spec.action_space}, which has no choices to mask."
        )


def _check_memory(spec: PolicySpec) -> None:
    if spec.lstm_hidden_size is None:
        if spec.shared_lstm:
            raise ValueError("shared_lstm is set without lstm_hidden_size, so there is nothing to share.")
        return
    for name in ("lstm_hidden_size", "n_lstm_layers"):
        if getattr(spec, name) < 1:
            raise ValueError(f"{name} is {getattr(spec, name)}, but it must be at least 1.")
    if spec.shared_lstm and spec.enable_critic_lstm:
        raise ValueError("shared_lstm and enable_critic_lstm are both set, but they exclude each other.")
    if spec.shared_lstm and not spec.share_features_extractor:
        raise ValueError("shared_lstm is set without share_features_extractor, which it needs.")
