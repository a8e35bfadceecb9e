"""What LeRobot itself keeps of a policy of ours: its configuration, its weights, its processors.

A port has `sb3port.json` beside that (see `readers.port`). What `lerobot-train` saves has not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from sb3port.checkpoint.checkpoint import (
    Array,
    Checkpoint,
    NetArch,
    Normalizer,
    PolicySpec,
    Provenance,
    ReplaySpec,
    RunningMeanStd,
    SourceFile,
    TrainingSettings,
    frozen,
)
from sb3port.checkpoint.frames import stack_of, stacks_of
from sb3port.checkpoint.schedules import ConstantSchedule
from sb3port.checkpoint.spaces import Dict, Space, parts, space_from_json
from sb3port.errors import NotPortable
from sb3port.families.algorithms import algorithm_for, algorithm_of
from sb3port.families.features import batch_keys
from sb3port.families.specs import check_supported, check_tensors, expected_shapes
from sb3port.files.budget import Cost, metered, spend
from sb3port.files.port_files import (
    CONFIG_FILE,
    POSTPROCESSOR_FILE,
    PREPROCESSOR_FILE,
    STATISTICS_FILE,
    WEIGHTS_FILE,
)
from sb3port.files.untrusted import charge_json, read_json, read_untrusted, sha256_of
from sb3port.ports.formats import REPLAY_TYPES, check_config
from sb3port.ports.gate import check_processors
from sb3port.ports.lerobot_template import CLIP_STEP, TYPE_PREFIX, UNSCALE_STEP

_NORMALIZE_STEP = "sb3port_vec_normalize"
_TRAINED_ELSEWHERE = "was trained by LeRobot, so that the settings of SB3's training are not known"


def read_lerobot_policy(folder: Path) -> Checkpoint:
    """Read a policy of type `ppo` that LeRobot saved.

    Raises:
        NotPortable: It is of another type, or damaged.
    """
    try:
        config = _read_config(folder)
        spec = _spec(config, folder, _algorithm(config), ())
        check_processors(folder, spec)
        rate = ConstantSchedule(float(config.get("optimizer_lr", 0.0)))
        return Checkpoint(
            spec=spec,
            tensors=read_weights(folder, spec),
            normalizer=_read_normalizer(folder, spec.observation_space),
            training=TrainingSettings({"learning_rate": rate}, {}, "Adam"),
            optimizer=None,
            provenance=_provenance(folder),
            warnings=(f"{folder.name} {_TRAINED_ELSEWHERE}",),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the LeRobot policy {folder} is damaged: {error!r}") from error


@dataclass(frozen=True)
class ActionStep:
    """What happens to the actions of a Box behind the policy.

    Args:
        unscales: From [-1, 1] to the bounds, instead of being clipped to them.
        low: One number or a flat list, as in the file.
        high: Likewise.
        dtype: NumPy's name of the dtype of the bounds.
    """

    unscales: bool
    low: Any
    high: Any
    dtype: str


@dataclass(frozen=True)
class Running:
    """What runs of a port: all that LeRobot reads of it, and nothing that is only told of it."""

    spec: PolicySpec
    tensors: Mapping[str, Array]
    normalizer: Normalizer | None
    action: ActionStep | None


@metered
def read_running(folder: Path) -> Running:
    """Read what runs of a port, or of a policy of type `ppo` that LeRobot saved.

    Raises:
        Unsafe: Its processors are not those of its policy; see `gate.check_processors`.
        NotPortable: It is of another type, or damaged.
    """
    try:
        spec = _own_spec(folder)
        check_processors(folder, spec)
        return Running(
            spec,
            read_weights(folder, spec),
            _read_normalizer(folder, spec.observation_space),
            action_step(read_json(folder / POSTPROCESSOR_FILE, within=folder)),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the port {folder} is damaged: {error!r}") from error


@metered
def check_processors_of(folder: Path) -> PolicySpec:
    """Refuse a port, or a policy that LeRobot saved, whose processors are not those of its policy.

    Returns:
        What its policy computes.

    Raises:
        Unsafe: See `gate.check_processors`.
        NotPortable: It is damaged.
    """
    try:
        spec = _own_spec(folder)
        check_processors(folder, spec)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the port {folder} is damaged: {error!r}") from error
    return spec


def _read_config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    config: Any = read_json(path, within=folder)
    if not isinstance(config, dict) or not isinstance(config.get("type"), str):
        raise NotPortable(f"{path} is damaged: it names no type of policy")
    if config["type"] not in ("ppo", *REPLAY_TYPES):
        raise NotPortable(f"{folder} is a LeRobot policy of type {config['type'][:100]}, not ppo")
    check_config(config, path)
    return config


def read_spec(folder: Path, algorithm: str, assumed: tuple[str, ...]) -> PolicySpec:
    """Read from `config.json` what a policy computes.

    Args:
        folder: Where it is.
        algorithm: What only a port knows: a key of `families.algorithms`.
        assumed: Likewise, fields that nothing told.
    """
    return _spec(_read_config(folder), folder, algorithm, assumed)


def _own_spec(folder: Path) -> PolicySpec:
    """Read what a policy computes, of an algorithm that has such policies."""
    config = _read_config(folder)
    return _spec(config, folder, _algorithm(config), ())


def _spec(config: Mapping[str, Any], folder: Path, algorithm: str, assumed: tuple[str, ...]) -> PolicySpec:
    known = algorithm_of(algorithm)
    expected = "ppo" if known.trains_here else f"{TYPE_PREFIX}{known.key}"
    if config["type"] != expected:
        raise NotPortable(f"{folder} is of type {config['type']}, but its algorithm is {known.name}")
    kind = PolicySpec if known.trains_here else ReplaySpec
    names = {field.name for field in fields(kind)}
    plain = {name: value for name, value in config.items() if name in names}
    spaces = {
        name: space_from_json(config[name], f"{name} of the port {folder}")
        for name in ("observation_space", "action_space")
    }
    net_arch = NetArch(**{net: tuple(sizes) for net, sizes in config["net_arch"].items()})
    sizes = config.get("sde_net_arch")
    layers = {"net_arch": net_arch, "sde_net_arch": None if sizes is None else tuple(sizes)}
    spec = kind(**{**plain, **spaces, **layers, "algorithm": algorithm, "assumed": assumed})
    check_supported(spec, str(folder))
    return spec


def read_weights(folder: Path, spec: PolicySpec, order: Iterable[str] = ()) -> dict[str, Array]:
    """Read the weights in SB3's order.

    Args:
        folder: Where they are.
        spec: The policy.
        order: Their names in order, which only a port knows of a features extractor of the user's own.

    Raises:
        NotPortable: They do not fit the spec.
    """
    found = read_tensors(folder / WEIGHTS_FILE)
    # safetensors files have an order of their own.
    tensors = {name: found[name] for name in order if name in found} | found
    check_tensors(tensors, spec, str(folder))
    return {name: tensors[name] for name in expected_shapes(spec, tensors)}


def read_statistics(path: Path, space: Space) -> RunningMeanStd | dict[str, RunningMeanStd]:
    """Read the statistics of every observation that has some, in its shape or that of one frame."""
    # A Dict of which no key is normalised has no such file.
    tensors = {} if isinstance(space, Dict) and not path.is_file() else read_tensors(path)
    found = {}
    for name, key in batch_keys(space).items():
        if f"{key}.mean" in tensors or not isinstance(space, Dict):
            mean, var, count = (tensors[f"{key}.{part}"] for part in ("mean", "var", "count"))
            _check_statistics(mean, var, count)
            shape = parts(space)[name].shape
            shape = mean.shape if stack_of(mean.shape, shape) else shape
            found[name] = RunningMeanStd(mean.reshape(shape), var.reshape(shape), float(count))
    return found if isinstance(space, Dict) else found[""]


def read_tensors(path: Path) -> dict[str, Array]:
    """Read a safetensors file.

    Raises:
        NotPortable: It is absent or damaged.
    """
    raw = read_untrusted(path, within=path.parent)
    # The length of a list of tensors, in JSON, and the list itself.
    length = int.from_bytes(raw[:8], "little")
    charge_json(raw[8 : 8 + length], str(path))
    spend(Cost.MEMORY, 2 * len(raw), str(path))
    try:
        return {name: frozen(array) for name, array in load(raw).items()}
    except (SafetensorError, LookupError, ValueError, TypeError, OverflowError) as error:
        raise NotPortable(f"{path} cannot be read ({str(error)[:200]})") from error


def _check_statistics(mean: Array, var: Array, count: Array) -> None:
    if not all(a.dtype == np.float64 and np.isfinite(a).all() for a in (mean, var, count)) or (var < 0).any():
        raise ValueError("its statistics are not finite float64 numbers, or a variance is negative")


def _algorithm(config: Mapping[str, Any]) -> str:
    if config["type"] != "ppo":
        return str(config["type"]).removeprefix(TYPE_PREFIX)
    return algorithm_for(bool(config.get("maskable")), config.get("lstm_hidden_size") is not None)


def _read_normalizer(folder: Path, space: Space) -> Normalizer | None:
    steps = read_json(folder / PREPROCESSOR_FILE, within=folder)["steps"]
    step = next((step for step in steps if step.get("registry_name") == _NORMALIZE_STEP), None)
    if step is None:
        return None
    statistics = read_statistics(folder / STATISTICS_FILE, space)
    clip_obs, epsilon = (float(step["config"][name]) for name in ("clip_obs", "epsilon"))
    normalizer = Normalizer(statistics, None, clip_obs=clip_obs, epsilon=epsilon)
    keys, shapes = batch_keys(space), step["config"].get("shapes", {})
    if unknown := [name for name in stacks_of(normalizer, space) if keys[name] not in shapes]:
        raise ValueError(
            f"its statistics of {keys[unknown[0]]} are of one frame, and the step knows no shape"
        )
    return normalizer


def action_step(postprocessor: Mapping[str, Any]) -> ActionStep | None:
    """Give the last step of a postprocessor, if it is ours: of other spaces than a Box there is none."""
    last = postprocessor["steps"][-1]
    if last["registry_name"] not in (CLIP_STEP, UNSCALE_STEP):
        return None
    return ActionStep(last["registry_name"] == UNSCALE_STEP, **last["config"])


def _provenance(folder: Path) -> Provenance:
    path = folder / WEIGHTS_FILE
    file = SourceFile(WEIGHTS_FILE, path.stat().st_size, sha256_of(path, within=folder))
    return Provenance("folder", str(folder.absolute()), None, {"checkpoint": file})
