"""`policy_kwargs` of a zip: JSON where all values are plain, else a pickle with classes in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sb3port.errors import NotPortable, Unsafe
from sb3port.families.policies import BY_VALUE, own_name
from sb3port.readers.arrays import as_flag, as_number, as_plain
from sb3port.records import Global, Record, describe

_FLAGS = (
    "ortho_init",
    "normalize_images",
    "full_std",
    "use_expln",
    "squash_output",
    "share_features_extractor",
)
# Told by the tensors or by other settings.
_REDUNDANT = (
    "net_arch",
    "use_sde",
    "lstm_hidden_size",
    "n_lstm_layers",
    "shared_lstm",
    "enable_critic_lstm",
)
_CLASSES = ("activation_fn", "optimizer_class", "features_extractor_class")
_OTHERS = ("log_std_init", "optimizer_kwargs", "features_extractor_kwargs", "lstm_kwargs", "sde_net_arch")
_KNOWN = frozenset((*_FLAGS, *_REDUNDANT, *_CLASSES, *_OTHERS))
_ACTIVATIONS = ("torch.nn.modules.activation",)
_OPTIMIZERS = ("torch.optim", "stable_baselines3.common.sb2_compat.rmsprop_tf_like")
_EXTRACTORS = tuple(
    f"stable_baselines3.common.torch_layers.{name}"
    for name in ("FlattenExtractor", "NatureCNN", "CombinedExtractor")
)
_WIDTHS = ("features_dim", "cnn_output_dim")
_HINT = "if the policy computes what SB3's own class does, say --assume-standard-forward"


@dataclass(frozen=True)
class PolicyKwargs:
    """Keyword arguments of a policy.

    Args:
        given: Plain values under SB3's names; classes by their short name (`activation_fn`: "ReLU").
        unnormalized_images: Whether images are said to be normalised already (`normalized_image`).
        empty_sde_net_arch: Whether gSDE is said to have an extractor of its own without layers.
        warnings: Sentences on what is left out or was assumed.
    """

    given: Mapping[str, Any] = field(default_factory=dict)
    unnormalized_images: bool = False
    empty_sde_net_arch: bool = False
    warnings: tuple[str, ...] = ()


def read_policy_kwargs(value: Any, where: str, assume_standard: bool = False) -> PolicyKwargs:
    """Read the keyword arguments that the policy was built with.

    Args:
        value: `data["policy_kwargs"]`, as JSON or as the symbolic pickle reader gave it.
        where: What to call it in an error message.
        assume_standard: Whether arguments and extractors of the author's own are left aside.

    Raises:
        NotPortable: It is not a dictionary, or holds an argument or a class that is not supported.
        Unsafe: It holds a class of the author's own as code.
    """
    if value is None:
        return PolicyKwargs()
    if isinstance(value, Record) and value.calls("collections.OrderedDict"):
        value = dict(value.pairs)
    if not isinstance(value, dict):
        raise NotPortable(f"{where} is not a dictionary")
    unusual = [*_unknown(value, where), *_own_extractor(value, where)]
    if unusual and not assume_standard:
        raise NotPortable(unusual[0], _HINT)
    return PolicyKwargs(
        _given(value, where),
        _widths(value.get("features_extractor_kwargs"), where, assume_standard),
        isinstance(value.get("sde_net_arch"), list | tuple) and not value["sde_net_arch"],
        (*unusual, *_lstm_warnings(value.get("lstm_kwargs"), where)),
    )


def _given(value: dict[Any, Any], where: str) -> dict[str, Any]:
    kwargs: dict[str, Any] = {key: as_flag(value[key], f"{where}[{key!r}]") for key in _FLAGS if key in value}
    if "log_std_init" in value:
        kwargs["log_std_init"] = float(as_number(value["log_std_init"]))
    if "activation_fn" in value:
        kwargs["activation_fn"] = _class_name(value["activation_fn"], _ACTIVATIONS, where)
    if "optimizer_class" in value:
        kwargs["optimizer_class"] = _class_name(value["optimizer_class"], _OPTIMIZERS, where)
    if isinstance(value.get("optimizer_kwargs"), dict):
        kwargs["optimizer_kwargs"] = _plain_dict(value["optimizer_kwargs"], where)
    return kwargs


def _unknown(value: dict[Any, Any], where: str) -> list[str]:
    unknown = sorted(_key(key) for key in value if key not in _KNOWN)
    return [f"{where} has arguments that no policy of SB3's takes: {', '.join(unknown)[:1000]}"] * bool(
        unknown
    )


def _own_extractor(value: dict[Any, Any], where: str) -> list[str]:
    extractor = value.get("features_extractor_class")
    if extractor is None or (isinstance(extractor, Global) and str(extractor) in _EXTRACTORS):
        return []
    if isinstance(extractor, Record) and extractor.calls(*BY_VALUE):
        raise Unsafe(
            f"{where} carries the code of the features extractor {own_name(extractor)}, which is never run",
            "networks of the author's own are not supported: train the policy with SB3's own extractors",
        )
    name = describe(extractor) if isinstance(extractor, Global) else "of the author's own"
    return [f"{where} has the features extractor {name}, which is not SB3's and not supported"]


def _widths(value: Any, where: str, assume_standard: bool) -> bool:
    """Check the extractor's arguments, of which the widths show in its tensors; give `normalized_image`."""
    kwargs = value if isinstance(value, dict) else {}
    others = sorted(_key(key) for key in kwargs if key not in (*_WIDTHS, "normalized_image"))
    if others and not assume_standard:
        raise NotPortable(
            f"{where} has arguments that no features extractor of SB3's takes: {', '.join(others)[:1000]}",
            _HINT,
        )
    return "normalized_image" in kwargs and as_flag(kwargs["normalized_image"], where)


def _lstm_warnings(value: Any, where: str) -> list[str]:
    """Dropout acts in training only; every other argument of `torch.nn.LSTM` changes what it computes."""
    kwargs = value if isinstance(value, dict) else {}
    others = sorted(_key(key) for key in kwargs if key != "dropout")
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


def _plain_dict(value: dict[Any, Any], where: str) -> dict[str, Any]:
    items = ((_key(key), item) for key, item in value.items())
    return {
        key: [as_plain(part, where) for part in item]
        if isinstance(item, list | tuple)
        else as_plain(item, where)
        for key, item in items
    }


def _key(key: Any) -> str:
    return key[:200] if isinstance(key, str) else describe(key)
