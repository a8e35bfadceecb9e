"""From a port back to a `Checkpoint`.

What runs is in `config.json`, the tensors and the processors; what is only known of it, in `sb3port.json`.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from sb3port.checkpoint import (
    Array,
    Checkpoint,
    ConfiguredTraining,
    EnvironmentSpec,
    NetArch,
    Normalizer,
    OptimizerState,
    PolicySpec,
    RunningMeanStd,
    TrainingSettings,
    Wrapper,
    frozen,
)
from sb3port.errors import NotPortable
from sb3port.families.specs import check_supported, check_tensors, expected_shapes
from sb3port.features import batch_keys
from sb3port.port import STATISTICS_FILE, provenance_of, read_json, read_port_file
from sb3port.schedules import Schedule, schedule_from_json
from sb3port.spaces import Dict, Space, parts, space_from_json


def read_port(folder: Path) -> Checkpoint:
    """Read a port.

    Raises:
        UsageError: The folder is absent.
        NotPortable: It is not a port, or a damaged one.
    """
    content = read_port_file(folder)
    provenance = provenance_of(content, folder)
    try:
        spec = _spec(read_json(folder / "config.json"), content["spec"])
        tensors = _tensors(folder / "model.safetensors")
        check_supported(spec, str(folder))
        check_tensors(tensors, spec, str(folder))
        return Checkpoint(
            spec=spec,
            tensors={name: tensors[name] for name in expected_shapes(spec)},
            normalizer=_normalizer(content["normalizer"], spec.observation_space, folder),
            training=_training(content["training"]),
            optimizer=_optimizer(folder / "training_state", list(expected_shapes(spec))),
            provenance=provenance,
            warnings=tuple(content["warnings"]),
            environment=_environment(content.get("environment") or {}),
            configured=_configured(content.get("configured")),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the port {folder} is damaged: {error!r}") from error


def _spec(config: Mapping[str, Any], noted: Mapping[str, Any]) -> PolicySpec:
    """Take from `config.json` what computes, and from `sb3port.json` what is only known of it."""
    names = {field.name for field in fields(PolicySpec)}
    plain = {name: value for name, value in config.items() if name in names}
    spaces = {name: space_from_json(config[name]) for name in ("observation_space", "action_space")}
    net_arch = NetArch(**{net: tuple(sizes) for net, sizes in config["net_arch"].items()})
    sizes = config.get("sde_net_arch")
    known = {"algorithm": noted["algorithm"], "assumed": tuple(noted["assumed"])}
    layers = {"net_arch": net_arch, "sde_net_arch": None if sizes is None else tuple(sizes)}
    return PolicySpec(**{**plain, **spaces, **known, **layers})


def _normalizer(noted: Mapping[str, Any] | None, space: Space, folder: Path) -> Normalizer | None:
    if noted is None:
        return None
    settings = {name: value for name, value in noted.items() if name != "ret_rms"}
    obs_rms = _statistics(folder / STATISTICS_FILE, space) if noted["norm_obs"] else None
    return Normalizer(obs_rms=obs_rms, ret_rms=_reward_statistics(noted["ret_rms"]), **settings)


def _statistics(path: Path, space: Space) -> RunningMeanStd | dict[str, RunningMeanStd]:
    """Read the statistics of every observation that has some, in the shape of the observation."""
    # A Dict of which no key is normalised has no such file.
    tensors = {} if isinstance(space, Dict) and not path.is_file() else _tensors(path)
    found = {}
    for name, key in batch_keys(space).items():
        if f"{key}.mean" in tensors or not isinstance(space, Dict):
            mean, var, count = (tensors[f"{key}.{part}"] for part in ("mean", "var", "count"))
            _check_statistics(mean, var, count)
            shape = parts(space)[name].shape
            found[name] = RunningMeanStd(mean.reshape(shape), var.reshape(shape), float(count))
    return found if isinstance(space, Dict) else found[""]


def _check_statistics(mean: Array, var: Array, count: Array) -> None:
    if not all(a.dtype == np.float64 and np.isfinite(a).all() for a in (mean, var, count)) or (var < 0).any():
        raise ValueError("its statistics are not finite float64 numbers, or a variance is negative")


def _reward_statistics(noted: Mapping[str, float] | None) -> RunningMeanStd | None:
    if noted is None:
        return None
    mean, var = (np.asarray(noted[name], np.float64) for name in ("mean", "var"))
    return RunningMeanStd(mean, var, noted["count"])


def _training(noted: Mapping[str, Any]) -> TrainingSettings:
    settings, kwargs = dict(noted["hyperparameters"]), dict(noted["optimizer_kwargs"])
    return TrainingSettings(_schedules(noted), settings, str(noted["optimizer_class"]), kwargs)


def _schedules(noted: Mapping[str, Any]) -> dict[str, Schedule]:
    return {name: schedule_from_json(schedule) for name, schedule in noted["schedules"].items()}


def _configured(noted: Mapping[str, Any] | None) -> ConfiguredTraining | None:
    return None if noted is None else ConfiguredTraining(_schedules(noted), dict(noted["hyperparameters"]))


def _environment(noted: Mapping[str, Any]) -> EnvironmentSpec:
    """Read what the policy was trained in; ports of before that was noted have nothing."""
    wrappers = tuple(Wrapper(str(w["name"]), dict(w["kwargs"])) for w in noted.get("wrappers", ()))
    if not isinstance(noted.get("env_id"), str | None) or not isinstance(
        noted.get("frame_stack"), int | None
    ):
        raise TypeError("its environment is damaged")
    return EnvironmentSpec(
        env_id=noted.get("env_id"),
        env_kwargs=dict(noted.get("env_kwargs", {})),
        wrappers=wrappers,
        frame_stack=noted.get("frame_stack"),
        sources=tuple(noted.get("sources", ())),
    )


def _optimizer(folder: Path, names: list[str]) -> OptimizerState | None:
    """Read LeRobot's flat form of torch's optimiser state: `state/<parameter number>/<tensor>`."""
    if not (folder / "optimizer_state.safetensors").is_file():
        return None
    (group,) = read_json(folder / "optimizer_param_groups.json")
    state: dict[str, dict[str, Array]] = {}
    for key, array in _tensors(folder / "optimizer_state.safetensors").items():
        _, number, name = key.split("/")
        state.setdefault(dict(enumerate(names))[int(number)], {})[name] = array
    return OptimizerState({key: value for key, value in group.items() if key != "params"}, state)


def _tensors(path: Path) -> dict[str, Array]:
    try:
        return {name: frozen(array) for name, array in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise NotPortable(f"{path} cannot be read ({error})") from error
