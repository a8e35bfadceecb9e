"""`policy_kwargs` of a zip: JSON where all values are plain, else a pickle with classes in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sb3port.checkpoint.plain import is_plain
from sb3port.errors import NotPortable
from sb3port.readers.formats.arrays import as_flag, as_number
from sb3port.readers.formats.plain import as_dict, as_plain_tree, shown_key
from sb3port.readers.formats.records import Global, describe
from sb3port.readers.meaning.activations import read_activation
from sb3port.readers.meaning.extractors import ExtractorKwargs, Vouched, read_extractor

_FLAGS = (
    "ortho_init",
    "normalize_images",
    "full_std",
    "use_expln",
    "squash_output",
    "share_features_extractor",
)
_WARMUP = "renorm_warmup_steps"
_NUMBERS = ("log_std_init", "clip_mean", "batch_norm_momentum", "batch_norm_eps")
# Told by the tensors or by other settings.
_REDUNDANT = (
    "net_arch",
    "use_sde",
    "lstm_hidden_size",
    "n_lstm_layers",
    "shared_lstm",
    "enable_critic_lstm",
    *("n_critics", "n_quantiles", "batch_norm", "with_bias"),
)
_CLASSES = ("activation_fn", "optimizer_class", "features_extractor_class")
_OTHERS = ("optimizer_kwargs", "features_extractor_kwargs", "lstm_kwargs", "sde_net_arch", "device")
_KNOWN = frozenset((*_FLAGS, *_NUMBERS, _WARMUP, *_REDUNDANT, *_CLASSES, *_OTHERS))
_OPTIMIZERS = ("torch.optim", "stable_baselines3.common.sb2_compat.rmsprop_tf_like")
_HINT = "if the policy computes what SB3's own class does, say --assume-standard-forward"


@dataclass(frozen=True)
class PolicyKwargs:
    """Keyword arguments of a policy.

    Args:
        given: Plain values under SB3's names; classes by their short name, activations as a text.
        extractor: What is said of the features extractor.
        empty_sde_net_arch: Whether gSDE is said to have an extractor of its own without layers.
        warnings: Sentences on what is left out or was assumed.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    extractor: ExtractorKwargs = field(default_factory=ExtractorKwargs)
    empty_sde_net_arch: bool = False
    warnings: tuple[str, ...] = ()


def read_policy_kwargs(value: Any, where: str, vouched: Vouched) -> PolicyKwargs:
    """Read the keyword arguments that the policy was built with.

    Args:
        value: `data["policy_kwargs"]`, as JSON or as the symbolic pickle reader gave it.
        where: What to call it in an error message.
        vouched: What the user says of it; with `standard_forward` arguments of the author's own are left
            aside.

    Raises:
        NotPortable: It is not a dictionary, or holds an argument or a class that is not supported.
    """
    kwargs = as_dict(value, where)
    unknown = _unknown(kwargs, where)
    if unknown and not vouched.standard_forward:
        raise NotPortable(unknown, _HINT)
    extractor = read_extractor(kwargs, where, vouched)
    warnings = (unknown, extractor.warning, *_lstm_warnings(kwargs.get("lstm_kwargs"), where))
    return PolicyKwargs(
        _given(kwargs, where),
        extractor,
        isinstance(kwargs.get("sde_net_arch"), list | tuple) and not kwargs["sde_net_arch"],
        tuple(warning for warning in warnings if warning),
    )


def _given(value: dict[Any, Any], where: str) -> dict[str, Any]:
    kwargs: dict[str, Any] = {key: as_flag(value[key], f"{where}[{key!r}]") for key in _FLAGS if key in value}
    for name in (name for name in _NUMBERS if name in value):
        kwargs[name] = float(as_number(value[name]))
        if not is_plain(kwargs[name]):
            raise NotPortable(f"{where}[{name!r}] is not a number")
    if _WARMUP in value:
        kwargs[_WARMUP] = int(as_number(value[_WARMUP]))
    if "activation_fn" in value:
        kwargs["activation_fn"] = read_activation(value["activation_fn"], f"{where}['activation_fn']")
    if "optimizer_class" in value:
        kwargs["optimizer_class"] = _class_name(value["optimizer_class"], _OPTIMIZERS, where)
    if "optimizer_kwargs" in value:
        name = f"{where}['optimizer_kwargs']"
        kwargs["optimizer_kwargs"] = as_plain_tree(as_dict(value["optimizer_kwargs"], name), name)
    return kwargs


def _unknown(kwargs: dict[Any, Any], where: str) -> str:
    names = ", ".join(sorted(shown_key(key) for key in kwargs if key not in _KNOWN))[:1000]
    return names and f"{where} has arguments that no policy of SB3's takes: {names}"


def _lstm_warnings(value: Any, where: str) -> list[str]:
    """Dropout acts in training only; every other argument of `torch.nn.LSTM` changes what it computes."""
    kwargs = as_dict(value, where)
    others = sorted(shown_key(key) for key in kwargs if key != "dropout")
    if others:
        raise NotPortable(f"{where} has lstm_kwargs that are not supported: {', '.join(others)[:1000]}")
    return (
        ["its LSTM was trained with dropout, which the port does not have"] if kwargs.get("dropout") else []
    )


def _class_name(value: Any, packages: tuple[str, ...], where: str) -> str:
    """Give the short name of a class of one of these packages."""
    if not isinstance(value, Global) or not f"{value.module}.".startswith(tuple(f"{p}." for p in packages)):
        raise NotPortable(f"{where} names {describe(value)} where a class of {packages[0]} is expected")
    return value.name
