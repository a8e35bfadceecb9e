"""The pickle that `VecNormalize.save` writes, read as a `Normalizer`.

The environment and the random state in it are of no use and are not looked at.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint import Array, Normalizer, RunningMeanStd, SourceFile, frozen
from sb3port.errors import NotPortable
from sb3port.readers.arrays import as_flag, as_float64, as_number
from sb3port.readers.pickles import read_pickle
from sb3port.readers.records import Global, Record

_CLASS = ".common.vec_env.vec_normalize.VecNormalize"
_CLASSES = tuple(f"{package}{_CLASS}" for package in ("stable_baselines3", "stable_baselines"))
_RMS = ".common.running_mean_std.RunningMeanStd"
_RMS_CLASSES = tuple(f"{package}{_RMS}" for package in ("stable_baselines3", "stable_baselines"))


def read_vecnormalize(path: Path) -> tuple[Normalizer, SourceFile, frozenset[Global]]:
    """Read VecNormalize statistics.

    Returns:
        The normaliser, the file it came from, and every global its pickle names.

    Raises:
        NotPortable: It is not a pickled VecNormalize, or its statistics are damaged.
        Unsafe: It is not one, but would run something dangerous.
    """
    raw = path.read_bytes()
    pickled = read_pickle(raw, path.name)
    if not isinstance(pickled.value, Record) or not pickled.value.calls(*_CLASSES):
        raise NotPortable(f"{path.name} is not a saved VecNormalize")
    source = SourceFile(path.name, len(raw), hashlib.sha256(raw).hexdigest())
    return _normalizer(pickled.value.attributes, path.name), source, pickled.imports


def _normalizer(attributes: dict[str, Any], where: str) -> Normalizer:
    norm_obs = as_flag(attributes.get("norm_obs", True), f"{where}: norm_obs")
    numbers = {
        name: _not_negative(attributes[name], f"{where}: {name}")
        for name in ("clip_obs", "clip_reward", "gamma", "epsilon")
        if name in attributes
    }
    return Normalizer(
        obs_rms=_statistics(attributes.get("obs_rms"), f"{where}: obs_rms") if norm_obs else None,
        ret_rms=_statistics(attributes.get("ret_rms"), f"{where}: ret_rms"),
        norm_obs=norm_obs,
        norm_reward=as_flag(attributes.get("norm_reward", True), f"{where}: norm_reward"),
        **numbers,
    )


def _statistics(value: Any, where: str) -> RunningMeanStd:
    if isinstance(value, dict):
        raise NotPortable(f"{where} holds statistics of a Dict observation, which is not supported")
    if not isinstance(value, Record) or not value.calls(*_RMS_CLASSES):
        raise NotPortable(f"{where} is not a RunningMeanStd")
    mean, var = (_finite(as_float64(value.attributes.get(key)), f"{where}.{key}") for key in ("mean", "var"))
    if mean.shape != var.shape or (var < 0).any():
        raise NotPortable(
            f"{where} is damaged: a mean of shape {mean.shape}, a variance of shape {var.shape}"
        )
    return RunningMeanStd(mean, var, _not_negative(value.attributes.get("count"), f"{where}.count"))


def _not_negative(value: Any, where: str) -> float:
    number = float(as_number(value))
    if not number >= 0:  # NaN included; clipping at infinity is no clipping, and honest
        raise NotPortable(f"{where} is {number}")
    return number


def _finite(array: Array, where: str) -> Array:
    if not np.isfinite(array).all():
        raise NotPortable(f"{where} holds NaN or infinite values")
    return frozen(array)
