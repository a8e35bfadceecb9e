"""`policy_kwargs` of a zip: JSON where all values are plain, else a pickle with classes in it."""

from typing import Any

from sb3port.errors import NotPortable
from sb3port.readers.arrays import as_flag, as_number, as_plain
from sb3port.readers.records import Global, describe

_FLAGS = ("ortho_init", "normalize_images", "full_std", "use_expln", "squash_output")
# Told by the tensors, by other settings, or of no effect on what the policy computes.
_REDUNDANT = ("net_arch", "use_sde", "sde_net_arch", "share_features_extractor", "features_extractor_kwargs")
_CLASSES = ("activation_fn", "optimizer_class", "features_extractor_class")
_KNOWN = frozenset((*_FLAGS, "log_std_init", *_REDUNDANT, *_CLASSES, "optimizer_kwargs"))
_ACTIVATIONS = ("torch.nn.modules.activation",)
_OPTIMIZERS = ("torch.optim", "stable_baselines3.common.sb2_compat.rmsprop_tf_like")
_EXTRACTOR = "stable_baselines3.common.torch_layers.FlattenExtractor"


def read_policy_kwargs(value: Any, where: str) -> dict[str, Any]:
    """Read the keyword arguments that the policy was built with.

    Args:
        value: `data["policy_kwargs"]`, as JSON or as the symbolic pickle reader gave it.
        where: What to call it in an error message.

    Returns:
        Plain values under SB3's names; classes by their short name (`activation_fn`: "ReLU").

    Raises:
        NotPortable: It is not a dictionary, or holds an argument or a class that is not supported.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotPortable(f"{where} is not a dictionary")
    unknown = sorted(_key(key) for key in value if key not in _KNOWN)
    if unknown:
        raise NotPortable(f"{where} has arguments that no MlpPolicy takes: {', '.join(unknown)}")
    kwargs: dict[str, Any] = {key: as_flag(value[key], f"{where}[{key!r}]") for key in _FLAGS if key in value}
    _check_extractor(value.get("features_extractor_class"), where)
    if "log_std_init" in value:
        kwargs["log_std_init"] = float(as_number(value["log_std_init"]))
    if "activation_fn" in value:
        kwargs["activation_fn"] = _class_name(value["activation_fn"], _ACTIVATIONS, where)
    if "optimizer_class" in value:
        kwargs["optimizer_class"] = _class_name(value["optimizer_class"], _OPTIMIZERS, where)
    if isinstance(value.get("optimizer_kwargs"), dict):
        kwargs["optimizer_kwargs"] = _plain_dict(value["optimizer_kwargs"], where)
    return kwargs


def _check_extractor(value: Any, where: str) -> None:
    if value is not None and not (isinstance(value, Global) and str(value) == _EXTRACTOR):
        name = describe(value) if isinstance(value, Global) else "of the author's own code"
        raise NotPortable(f"{where} names a features extractor {name}", "supported: FlattenExtractor")


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
