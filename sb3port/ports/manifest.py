"""`sb3port.json`: what a port is, where it comes from and how it was trained."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import (
    Array,
    Checkpoint,
    ConfiguredTraining,
    EnvironmentSpec,
    Normalizer,
    PolicySpec,
    Provenance,
    SourceFile,
    Wrapper,
)
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.schedules import schedule_to_json
from sb3port.errors import NotPortable, UsageError
from sb3port.families.features import batch_keys
from sb3port.files.port_files import PORT_FILE, is_lerobot_policy
from sb3port.files.untrusted import read_json, sha256_of
from sb3port.ports.formats import check_port_file
from sb3port.readers.places.locations import meant

FORMAT = 1
OBSERVATION_KEY = "observation.state"
_BASE = re.compile(r"([\w.-]+/[\w.-]+@\w+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def port_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Give the content of `sb3port.json`, but for `files`: the SHA-256 of the port's other files."""
    from sb3port.checkpoint.version import __version__  # which takes long, and reading a port needs it not

    training = checkpoint.training
    return {
        "format": FORMAT,
        "sb3port": __version__,
        "source": provenance_json(checkpoint.provenance),
        "spec": spec_json(checkpoint.spec),
        "tensors": list(checkpoint.tensors),
        "normalizer": normalizer_json(checkpoint.normalizer),
        "training": {
            "schedules": {name: schedule_to_json(s) for name, s in training.schedules.items()},
            "hyperparameters": dict(training.hyperparameters),
            "optimizer_class": training.optimizer_class,
            "optimizer_kwargs": dict(training.optimizer_kwargs),
            **({"replay": dict(training.replay)} if training.replay else {}),
        },
        "configured": _configured_json(checkpoint.configured),
        "environment": asdict(checkpoint.environment),
        "warnings": list(checkpoint.warnings),
    }


def _configured_json(configured: ConfiguredTraining | None) -> dict[str, Any] | None:
    if configured is None:
        return None
    schedules = {name: schedule_to_json(s) for name, s in configured.schedules.items()}
    kwargs = configured.normalize_kwargs
    return {
        "schedules": schedules,
        "hyperparameters": dict(configured.hyperparameters),
        "normalize_kwargs": None if kwargs is None else dict(kwargs),
    }


def spec_json(spec: PolicySpec) -> dict[str, Any]:
    """Give a policy spec as JSON values."""
    fields = dict(vars(spec))
    spaces = {name: fields[name].to_json() for name in ("observation_space", "action_space")}
    widths = {"features_extractor_kwargs": dict(spec.features_extractor_kwargs)}
    layers = {
        "net_arch": spec.net_arch.to_json(),
        "sde_net_arch": None if spec.sde_net_arch is None else list(spec.sde_net_arch),
    }
    return {**fields, **spaces, **widths, **layers, "assumed": list(spec.assumed)}


def normalizer_json(normalizer: Normalizer | None) -> dict[str, Any] | None:
    """Give a normaliser as JSON values: settings and reward statistics, without those of observations.

    The observation statistics are in the preprocessor's state, in float64.
    """
    if normalizer is None:
        return None
    fields = {name: value for name, value in vars(normalizer).items() if not name.endswith("_rms")}
    rms = normalizer.ret_rms
    ret = {"mean": rms.mean.item(), "var": rms.var.item(), "count": rms.count} if rms else None
    return {**fields, "ret_rms": ret}


def provenance_json(provenance: Provenance) -> dict[str, Any]:
    """Give a provenance as JSON values."""
    return {
        "kind": provenance.kind,
        "location": provenance.location,
        "revision": provenance.revision,
        "files": {role: asdict(file) for role, file in provenance.files.items()},
        "sb3_version": provenance.sb3_version,
        "system_info": dict(provenance.system_info),
        "ignored": dict(provenance.ignored),
        "no_stats": provenance.no_stats,
        "assume_standard_forward": provenance.assume_standard_forward,
        "extractor": provenance.extractor,
        **({"pairing": provenance.pairing} if provenance.pairing else {}),
        **({"base": provenance.base} if provenance.base else {}),
    }


def public_provenance(provenance: Provenance) -> dict[str, Any]:
    """Give a provenance without any path of this machine, and without the name of its system."""
    content = provenance_json(provenance)
    system = {name: value for name, value in provenance.system_info.items() if name != "OS"}
    local = {} if provenance.kind == "hub" else {"location": provenance.name, "system_info": system}
    files = {
        role: {**file, "name": Path(file["name"]).name if Path(file["name"]).is_absolute() else file["name"]}
        for role, file in content["files"].items()
    }
    return {**content, **local, "files": files}


def read_provenance(folder: Path) -> Provenance:
    """Read from a port's `sb3port.json` where it comes from.

    Raises:
        UsageError: The folder is absent.
        NotPortable: It is not a port, or its `sb3port.json` is damaged or of a newer format.
    """
    return provenance_of(read_port_file(folder), folder)


def recorded_files(folder: Path) -> dict[str, str]:
    """Read from `sb3port.json` the SHA-256 of every file that the conversion wrote, by name; it may be empty.

    Raises:
        UsageError, NotPortable: As `read_port_file`.
    """
    return dict(read_port_file(folder).get("files", {}))


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Give the SHA-256 of those of the files that there are, by name, with `/` between folders.

    Names that lead out of the folder are passed over: a stranger may have written them.
    """
    below = [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
    found = {name: folder / name for name in below if (folder / name).is_file()}
    return {name: sha256_of(path, within=folder) for name, path in found.items()}


def statistics_tensors(checkpoint: Checkpoint) -> dict[str, Array]:
    """Give the state of the VecNormalize step: float64 as saved, flattened like the observations.

    Statistics of one frame keep its shape, which tells how the observation is made of frames.
    """
    normalizer, space = checkpoint.normalizer, checkpoint.spec.observation_space
    keys, stacks = batch_keys(space), stacks_of(normalizer, space)
    state: dict[str, Array] = {}
    for name, rms in (normalizer.statistics if normalizer else {}).items():
        shape = stacks[name].frame if name in stacks else -1
        found = {
            "mean": rms.mean.reshape(shape),
            "var": rms.var.reshape(shape),
            "count": np.float64(rms.count),
        }
        state |= {f"{keys[name]}.{part}": np.asarray(value, np.float64) for part, value in found.items()}
    return state


def provenance_of(content: Mapping[str, Any], folder: Path) -> Provenance:
    """Take the provenance out of what `read_port_file` gave.

    Raises:
        NotPortable: It is damaged.
    """
    try:
        return _provenance(content["source"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotPortable(f"{folder / PORT_FILE} is damaged: {error!r}") from error


def environment_of(content: Mapping[str, Any], folder: Path) -> EnvironmentSpec:
    """Take what the policy was trained in out of what `read_port_file` gave; older ports have nothing.

    Raises:
        NotPortable: It is damaged.
    """
    try:
        return environment_from_json(content.get("environment") or {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotPortable(f"{folder / PORT_FILE} is damaged: {error!r}") from error


def read_port_file(folder: Path) -> dict[str, Any]:
    """Read a port's `sb3port.json` as it is.

    Raises:
        UsageError: The folder is absent.
        NotPortable: It is not a port, or its `sb3port.json` is damaged or of a newer format.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder", meant(folder) or "make a port with: sb3port convert SOURCE"
        )
    if not (folder / PORT_FILE).is_file():
        kind = "was trained by LeRobot, and has no source" if is_lerobot_policy(folder) else "is not a port"
        raise NotPortable(f"{folder} {kind}: it has no {PORT_FILE}")
    path = folder / PORT_FILE
    content = read_json(path, within=folder)
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise NotPortable(f"{path} is damaged: it does not say its format")
    if content["format"] > FORMAT:
        raise NotPortable(
            f"{folder} was written by a newer sb3port, whose ports this one cannot read", "update sb3port"
        )
    check_port_file(content, path)
    return content


def _provenance(source: Mapping[str, Any]) -> Provenance:
    """Check what `verify` relies on: a kind it knows, a place, and the hash of every file."""
    files = {role: _source_file(file) for role, file in source["files"].items()}
    revision = source["revision"]
    if source["kind"] not in ("hub", "file", "folder", "training") or "checkpoint" not in files:
        raise ValueError("it names no source")
    if not isinstance(source["location"], str) or not isinstance(revision, str | None):
        raise TypeError("the place of its source is not a text")
    if not _BASE.fullmatch(source.get("base", "")):
        raise ValueError("what it was fine-tuned from is no repository")
    known = {field.name for field in fields(Provenance)}
    texts = {name: dict(source[name]) for name in ("system_info", "ignored") if name in source}
    return Provenance(**{**{k: v for k, v in source.items() if k in known}, **texts, "files": files})


def environment_from_json(noted: Mapping[str, Any]) -> EnvironmentSpec:
    """Read the fields of an environment; those that are absent have their defaults.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: It is not one.
    """
    wrappers = tuple(Wrapper(str(w["name"]), dict(w["kwargs"])) for w in noted.get("wrappers", ()))
    env_id, frame_stack = noted.get("env_id"), noted.get("frame_stack")
    if not isinstance(env_id, str | None) or not isinstance(frame_stack, int | None):
        raise TypeError("its environment is not one")
    kwargs, sources = dict(noted.get("env_kwargs", {})), tuple(noted.get("sources", ()))
    return EnvironmentSpec(env_id, kwargs, wrappers, frame_stack, sources)


def _source_file(file: Mapping[str, Any]) -> SourceFile:
    if not isinstance(file["name"], str) or not _SHA256.fullmatch(file["sha256"]):
        raise ValueError("a file of its source has no name or no SHA-256")
    return SourceFile(file["name"], int(file["size"]), file["sha256"])
