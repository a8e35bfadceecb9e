"""From a port back to a `Checkpoint`.

What runs is in `config.json`, the tensors and the processors; what is only known of it, in `sb3port.json`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import (
    Array,
    Checkpoint,
    ConfiguredTraining,
    Normalizer,
    OptimizerState,
    PolicySpec,
    ReplaySpec,
    RunningMeanStd,
    TrainingSettings,
)
from sb3port.checkpoint.schedules import Schedule, schedule_from_json
from sb3port.checkpoint.spaces import Space
from sb3port.errors import NotPortable
from sb3port.families.algorithms import algorithm_of
from sb3port.families.hyperparameters import is_setting
from sb3port.families.parameters import Parameters, parameters_by_optimizer, parameters_of
from sb3port.files.budget import metered
from sb3port.files.port_files import (
    ENTROPY_OPTIMIZER,
    STATE,
    STATISTICS_FILE,
    VARIABLES_FILE,
    is_lerobot_policy,
)
from sb3port.files.untrusted import read_json
from sb3port.ports.formats import check_optimizer_groups
from sb3port.ports.gate import check_processors
from sb3port.ports.lerobot_folder import (
    read_lerobot_policy,
    read_spec,
    read_statistics,
    read_tensors,
    read_weights,
)
from sb3port.ports.manifest import environment_of, provenance_of, read_port_file


@metered
def read_port(folder: Path) -> Checkpoint:
    """Read a port, or a policy that LeRobot trained and saved, of which less is known.

    Raises:
        UsageError: The folder is absent.
        NotPortable: It is not a port, or a damaged one.
    """
    if is_lerobot_policy(folder):
        return read_lerobot_policy(folder)
    content = read_port_file(folder)
    provenance = provenance_of(content, folder)
    try:
        noted = content["spec"]
        algorithm_of(noted["algorithm"])
        spec = read_spec(folder, noted["algorithm"], tuple(noted["assumed"]))
        tensors = read_weights(folder, spec, content.get("tensors", ()))
        normalizer = _normalizer(content["normalizer"], spec.observation_space, folder)
        check_processors(folder, spec, bool(normalizer and normalizer.statistics))
        return Checkpoint(
            spec=spec,
            tensors=tensors,
            normalizer=normalizer,
            training=_training(content["training"]),
            optimizer=_optimizer(folder / STATE, parameters_of(spec, tensors)),
            provenance=provenance,
            warnings=tuple(content["warnings"]),
            environment=environment_of(content, folder),
            configured=_configured(content.get("configured")),
            optimizers=_optimizers(folder / STATE, spec, tensors),
            variables=_variables(folder / STATE / VARIABLES_FILE),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the port {folder} is damaged: {error!r}") from error


def _normalizer(noted: Mapping[str, Any] | None, space: Space, folder: Path) -> Normalizer | None:
    if noted is None:
        return None
    settings = {name: value for name, value in noted.items() if name not in ("ret_rms", "channels_last")}
    obs_rms = read_statistics(folder / STATISTICS_FILE, space) if noted["norm_obs"] else None
    return Normalizer(
        obs_rms=obs_rms,
        ret_rms=_reward_statistics(noted["ret_rms"]),
        channels_last=tuple(map(str, noted.get("channels_last", ()))),
        **settings,
    )


def _reward_statistics(noted: Mapping[str, float] | None) -> RunningMeanStd | None:
    if noted is None:
        return None
    mean, var = (np.asarray(noted[name], np.float64) for name in ("mean", "var"))
    return RunningMeanStd(mean, var, noted["count"])


def _training(noted: Mapping[str, Any]) -> TrainingSettings:
    settings, kwargs = dict(noted["hyperparameters"]), dict(noted["optimizer_kwargs"])
    if odd := [name for name, value in settings.items() if not is_setting(name, value)]:
        raise ValueError(f"its settings {odd[:10]} are no numbers")
    replay = dict(noted.get("replay", {}))
    return TrainingSettings(_schedules(noted), settings, str(noted["optimizer_class"]), kwargs, replay)


def _schedules(noted: Mapping[str, Any]) -> dict[str, Schedule]:
    return {name: schedule_from_json(schedule) for name, schedule in noted["schedules"].items()}


def _configured(noted: Mapping[str, Any] | None) -> ConfiguredTraining | None:
    if noted is None:
        return None
    kwargs = noted.get("normalize_kwargs")
    return ConfiguredTraining(
        _schedules(noted), dict(noted["hyperparameters"]), None if kwargs is None else dict(kwargs)
    )


def _optimizers(folder: Path, spec: PolicySpec, tensors: Mapping[str, Array]) -> dict[str, OptimizerState]:
    """Read those of an algorithm that has several, each in a folder of its name."""
    if not isinstance(spec, ReplaySpec):
        return {}
    known = {**parameters_by_optimizer(spec, tensors), ENTROPY_OPTIMIZER: Parameters(((1,),))}
    found = {name: _optimizer(folder / name, parameters) for name, parameters in known.items()}
    return {name: state for name, state in found.items() if state is not None}


def _variables(path: Path) -> dict[str, Array]:
    found = read_tensors(path) if path.is_file() else {}
    if not all(a.dtype == np.float32 and a.size == 1 and np.isfinite(a).all() for a in found.values()):
        raise ValueError("its entropy coefficient is no finite number")
    return found


def _optimizer(folder: Path, parameters: Parameters) -> OptimizerState | None:
    """Read LeRobot's flat form of torch's optimiser state: `state/<parameter number>/<tensor>`."""
    if not (folder / "optimizer_state.safetensors").is_file():
        return None
    path = folder / "optimizer_param_groups.json"
    groups = read_json(path, within=folder)
    check_optimizer_groups(groups, path)
    (group,) = groups
    state: dict[int, dict[str, Array]] = {}
    for key, array in read_tensors(folder / "optimizer_state.safetensors").items():
        _, number, name = key.split("/")
        state.setdefault(int(number), {})[name] = array
    settings = {key: value for key, value in group.items() if key != "params"}
    found = OptimizerState(settings, state, len(group["params"]))
    if not parameters.fit(found):
        raise ValueError("its optimiser's state does not fit the parameters of its policy")
    return found
