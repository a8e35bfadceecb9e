"""The pickle that `VecNormalize.save` writes, read as a `Normalizer`.

Of the environment in it only the layout of images is of use; nothing else of it is looked at. For Dict
observations SB3 keeps one set of statistics per key: of the keys in `norm_obs_keys` since 1.4, of all
(`obs_keys`) before.

An instance of a class of somebody's own counts as what its state is: that of a VecNormalize. Its class is
named in a warning and never imported.
"""

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Normalizer, RunningMeanStd, SourceFile
from sb3port.checkpoint.spaces import Box, parts
from sb3port.errors import NotPortable
from sb3port.files.untrusted import read_untrusted
from sb3port.readers.formats.archive import refuse_pointer
from sb3port.readers.formats.arrays import as_flag, as_float64, as_number
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.formats.records import Global, Record, describe
from sb3port.readers.meaning.spaces import read_space

_PACKAGES = ("stable_baselines3", "stable_baselines")
_CLASSES = tuple(f"{package}.common.vec_env.vec_normalize.VecNormalize" for package in _PACKAGES)
_RMS_CLASSES = tuple(f"{package}.common.running_mean_std.RunningMeanStd" for package in _PACKAGES)
_RECONSTRUCTORS = ("copy_reg._reconstructor", "copyreg._reconstructor")
# What every VecNormalize has, whatever its version; and every RunningMeanStd.
_STATE = frozenset({"clip_obs", "epsilon", "gamma", "norm_obs", "ret_rms"})
_RMS_STATE = frozenset({"mean", "var", "count"})
_MAX_KEYS, _MAX_NAME = 1000, 200


@dataclass(frozen=True)
class ReadStatistics:
    """One pickle that was read.

    Args:
        normalizer: What it holds.
        file: Where that is from.
        imports: Which globals it names.
        warnings: Sentences on what is taken for granted.
    """

    normalizer: Normalizer
    file: SourceFile
    imports: frozenset[Global]
    warnings: tuple[str, ...] = ()


def read_vecnormalize(path: Path) -> ReadStatistics:
    """Read VecNormalize statistics.

    Raises:
        NotPortable: It is not a pickled VecNormalize, or its statistics are damaged.
        Unsafe: It is not one, but would run something dangerous.
    """
    raw = read_untrusted(path, path.name)
    refuse_pointer(raw, path.name)
    pickled = read_pickle(raw, path.name)
    source = SourceFile(path.name, len(raw), hashlib.sha256(raw).hexdigest())
    normalizer, warnings = _of_pickle(pickled.value, path.name)
    return ReadStatistics(normalizer, source, pickled.imports, warnings)


def _of_pickle(value: Any, where: str) -> tuple[Normalizer, tuple[str, ...]]:
    """Read a VecNormalize; or its `obs_rms` alone, as it was saved before VecNormalize could be pickled."""
    if not isinstance(value, Record):
        raise NotPortable(f"{where} is not a saved VecNormalize")
    if value.calls(*_RMS_CLASSES):
        alone = Normalizer(obs_rms=_statistics(value, where), ret_rms=None, norm_reward=False)
        assumed = f"clip_obs {alone.clip_obs:g} and epsilon {alone.epsilon:g} are assumed"
        return alone, (f"{where} holds mean and variance alone: {assumed}",)
    name, attributes = _class_name(value), value.attributes
    if name in _CLASSES:
        return _normalizer(attributes, where), ()
    if name is None or not attributes.keys() >= _STATE:
        raise NotPortable(f"{where} is not a saved VecNormalize, but {describe(value)}")
    return _normalizer(attributes, where), (
        f"{where} holds a {name[:_MAX_NAME]}, which is taken for a VecNormalize: what its own code changes "
        "is not known",
    )


def _class_name(value: Record) -> str | None:
    """Name the class of an instance, which protocols 0 and 1 give to a function; None for what is none."""
    named = value.args[0] if value.calls(*_RECONSTRUCTORS) and value.args else value.target
    return str(named) if isinstance(named, Global) else None


def _normalizer(attributes: dict[str, Any], where: str) -> Normalizer:
    norm_obs = as_flag(attributes.get("norm_obs", True), f"{where}: norm_obs")
    numbers = {
        name: _not_negative(attributes[name], f"{where}: {name}")
        for name in ("clip_obs", "clip_reward", "gamma", "epsilon")
        if name in attributes
    }
    if not np.isfinite(numbers.get("epsilon", 0.0)):
        raise NotPortable(f"{where}: epsilon is infinite, which makes every observation 0")
    return Normalizer(
        obs_rms=_observations(attributes, where) if norm_obs else None,
        ret_rms=_statistics(attributes.get("ret_rms"), f"{where}: ret_rms"),
        norm_obs=norm_obs,
        norm_reward=as_flag(attributes.get("norm_reward", True), f"{where}: norm_reward"),
        channels_last=_channels_last(attributes.get("observation_space")),
        **numbers,
    )


def _channels_last(value: Any) -> tuple[str, ...]:
    """Find the images that have their channels last, by key; a space that cannot be read has none."""
    with suppress(NotPortable):
        images = {
            key: part
            for key, part in parts(read_space(value, "observation_space")).items()
            if isinstance(part, Box) and part.is_image
        }
        return tuple(key for key, image in images.items() if image.shape != image.channels_first)
    return ()


def _observations(attributes: dict[str, Any], where: str) -> RunningMeanStd | Mapping[str, RunningMeanStd]:
    """Read `obs_rms`: one, or one per key of a Dict, of which those count that are normalised."""
    value = attributes.get("obs_rms")
    if isinstance(value, Record) and value.calls("collections.OrderedDict"):
        value = dict(value.pairs)
    if not isinstance(value, dict):
        return _statistics(value, f"{where}: obs_rms")
    keys = _normalized_keys(attributes, list(value), where)
    missing = [key for key in keys if key not in value]
    if missing:
        raise NotPortable(f"{where} is damaged: obs_rms lacks {', '.join(missing)[:500]}")
    return {key: _statistics(value[key], f"{where}: obs_rms[{key[:200]!r}]") for key in keys}


def _normalized_keys(attributes: dict[str, Any], default: list[Any], where: str) -> list[str]:
    """`norm_obs_keys` is a list, `obs_keys` a set or None; None means all."""
    value = attributes.get("norm_obs_keys", attributes.get("obs_keys"))
    if isinstance(value, Record) and value.calls("builtins.set", "__builtin__.set") and value.args:
        value = value.args[0]
    keys: list[Any] = default
    if value is not None:
        keys = list(value) if isinstance(value, list | set | tuple) else [None]
    if len(keys) > _MAX_KEYS or not all(isinstance(key, str) for key in keys):
        raise NotPortable(f"{where} is damaged: its observation keys are no names")
    return sorted(keys, key=default.index) if set(keys) <= set(default) else keys


def _statistics(value: Any, where: str) -> RunningMeanStd:
    if not isinstance(value, Record) or not _is_running_mean_std(value):
        raise NotPortable(f"{where} is not a RunningMeanStd")
    mean, var = (_finite(as_float64(value.attributes.get(key)), f"{where}.{key}") for key in ("mean", "var"))
    if mean.shape != var.shape or (var < 0).any():
        raise NotPortable(
            f"{where} is damaged: a mean of shape {mean.shape}, a variance of shape {var.shape}"
        )
    count = _not_negative(value.attributes.get("count"), f"{where}.count")
    if count == math.inf:
        raise NotPortable(f"{where} is damaged: it has seen infinitely many samples")
    return RunningMeanStd(mean, var, count)


def _is_running_mean_std(value: Record) -> bool:
    return value.calls(*_RMS_CLASSES) or value.attributes.keys() >= _RMS_STATE


def _not_negative(value: Any, where: str) -> float:
    number = float(as_number(value))
    if not number >= 0:  # NaN included; clipping at infinity is no clipping, and honest
        raise NotPortable(f"{where} is {number}")
    return number


def _finite(array: Array, where: str) -> Array:
    if not np.isfinite(array).all():
        raise NotPortable(f"{where} holds NaN or infinite values")
    return array
