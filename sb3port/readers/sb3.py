"""From an SB3 zip, and the VecNormalize pickle beside it, to a `Checkpoint`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sb3port.checkpoint import (
    Array,
    Checkpoint,
    Normalizer,
    OptimizerState,
    PolicySpec,
    Provenance,
    Scalar,
    SourceFile,
    TrainingSettings,
)
from sb3port.errors import NotPortable, UsageError
from sb3port.families.actor_critic import PolicyOptions, build_spec, expected_shapes
from sb3port.families.algorithms import Algorithm, identify
from sb3port.families.policies import check_policy_class
from sb3port.readers.archive import Archive, read_archive
from sb3port.readers.arrays import SCALAR, as_number
from sb3port.readers.policy_kwargs import read_policy_kwargs
from sb3port.readers.records import Global, Record
from sb3port.readers.schedules import read_schedule
from sb3port.readers.source import Source
from sb3port.readers.spaces import read_space
from sb3port.readers.tensors import read_torch
from sb3port.readers.vecnormalize import read_vecnormalize
from sb3port.schedules import ConstantSchedule, CustomSchedule, Schedule
from sb3port.spaces import Space


def read_checkpoint(source: Source, use_stats: bool = True) -> Checkpoint:
    """Read a checkpoint whose files lie on this machine.

    Args:
        source: Where its files are.
        use_stats: False to leave VecNormalize statistics out, even where the zip shows that they were used.

    Raises:
        NotPortable: The zip or the statistics are damaged, or of a kind that is not supported.
        Unsafe: A file would run code when loaded with SB3.
        UsageError: The zip shows that observations were normalised, and no statistics are found.
    """
    archive = read_archive(source.checkpoint)
    spec, tensors, imports = _read_policy(archive)
    normalizer, files, more = _read_normalizer(source, archive, spec, use_stats)
    training = _read_training(archive)
    return Checkpoint(
        spec=spec,
        tensors=tensors,
        normalizer=normalizer,
        training=training,
        optimizer=_read_optimizer(archive, tensors),
        provenance=replace(_provenance(source, archive, files, imports | more), no_stats=not use_stats),
        warnings=tuple(_warnings(training)),
    )


def _read_policy(archive: Archive) -> tuple[PolicySpec, dict[str, Array], frozenset[Global]]:
    where = archive.name
    imports = _imports(archive)
    check_policy_class(archive.value("policy_class"), where)
    algorithm = identify(archive.data, where)
    raw, more = read_torch(archive.members["policy.pth"], f"{where}: policy.pth")
    kwargs = read_policy_kwargs(archive.value("policy_kwargs"), f"{where}: policy_kwargs")
    options = PolicyOptions(bool(archive.value("use_sde", False)), kwargs)
    tensors = _state_dict(raw, where)
    spec = build_spec(algorithm.key, _read_spaces(archive), tensors, options, where)
    _refuse_unsquashed(spec, where)
    return spec, {name: tensors[name] for name in expected_shapes(spec)}, imports | more | _audit(archive)


def _imports(archive: Archive) -> frozenset[Global]:
    """Every global in the pickles of `data`, those that are never looked at again included."""
    pickled = [key for key in archive.data if archive.is_pickled(key)]
    return frozenset().union(*(archive.pickle(key).imports for key in pickled))


def _audit(archive: Archive) -> frozenset[Global]:
    """Every global of the torch files that are not read, which SB3 before 2.8 unpickles like the others."""
    others = archive.members.keys() - {"policy.pth", "policy.optimizer.pth"}
    imports: frozenset[Global] = frozenset()
    for where, raw in ((f"{archive.name}: {n}", archive.members[n]) for n in others if n.endswith(".pth")):
        imports |= read_torch(raw, where)[1]
    return imports


def _read_spaces(archive: Archive) -> tuple[Space, Space]:
    observation, action = (
        read_space(archive.value(f"{kind}_space"), f"{archive.name}: {kind}_space")
        for kind in ("observation", "action")
    )
    return observation, action


def _state_dict(value: Any, where: str) -> dict[str, Array]:
    tensors = value if isinstance(value, dict) else {}
    if not tensors or not all(isinstance(name, str) and hasattr(a, "dtype") for name, a in tensors.items()):
        raise NotPortable(f"{where}: policy.pth is not a dictionary of named tensors")
    return tensors


def _refuse_unsquashed(spec: PolicySpec, where: str) -> None:
    """SB3 before 2.2.1 took squash_output without gSDE, and then unscaled actions it had not squashed."""
    if spec.squash_output and not spec.use_sde:
        raise NotPortable(f"{where} has squash_output without use_sde, which today's SB3 refuses, too")


def _read_normalizer(
    source: Source, archive: Archive, spec: PolicySpec, use_stats: bool
) -> tuple[Normalizer | None, dict[str, SourceFile], frozenset[Global]]:
    if not use_stats:
        return None, {}, frozenset()
    if source.statistics is None:
        _refuse_missing_statistics(source, archive)
        return None, {}, frozenset()
    normalizer, file, imports = read_vecnormalize(source.statistics)
    _check_statistics(normalizer, spec, source)
    return normalizer, {"statistics": _renamed(file, source.statistics_name)}, imports


def _refuse_missing_statistics(source: Source, archive: Archive) -> None:
    """`_last_original_obs` is set only when a VecNormalize wraps the environment."""
    if archive.data.get("_last_original_obs") is not None:
        raise UsageError(
            f"{source.label} was trained with VecNormalize, but no statistics (vec_normalize.pkl) are there",
            "name the file with --vecnormalize PATH, or port the bare network with --no-stats",
        )


def _check_statistics(normalizer: Normalizer, spec: PolicySpec, source: Source) -> None:
    shape = getattr(spec.observation_space, "shape", ())
    if normalizer.obs_rms is not None and normalizer.obs_rms.mean.shape != shape:
        raise UsageError(
            f"{source.statistics_name} normalises observations of shape {normalizer.obs_rms.mean.shape}, "
            f"but {source.label} observes {shape}: it belongs to another model",
            "name the right file with --vecnormalize PATH, or port the bare network with --no-stats",
        )


def _renamed(file: SourceFile, name: str) -> SourceFile:
    return SourceFile(name, file.size, file.sha256)


def _read_training(archive: Archive) -> TrainingSettings:
    algorithm = identify(archive.data, archive.name)
    kwargs = read_policy_kwargs(archive.value("policy_kwargs"), f"{archive.name}: policy_kwargs")
    return TrainingSettings(
        schedules=_read_schedules(archive, algorithm),
        hyperparameters=_read_hyperparameters(archive, algorithm),
        optimizer_class=kwargs.get("optimizer_class", algorithm.optimizer_class),
        optimizer_kwargs=kwargs.get("optimizer_kwargs", {}),
    )


def _read_schedules(archive: Archive, algorithm: Algorithm) -> dict[str, Schedule]:
    values = {name: archive.value(name) for name in algorithm.schedules}
    return {
        name: read_schedule(value, f"{archive.name}: {name}")
        for name, value in values.items()
        if value is not None
    }


def _read_hyperparameters(archive: Archive, algorithm: Algorithm) -> dict[str, Scalar]:
    return {
        name: _scalar(archive.value(name), f"{archive.name}: {name}")
        for name in algorithm.hyperparameters
        if name in archive.data
    }


def _scalar(value: Any, where: str) -> Scalar:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float) or (isinstance(value, Record) and value.calls(*SCALAR)):
        return as_number(value)
    raise NotPortable(f"{where} is not a plain value")


def _read_optimizer(archive: Archive, tensors: Mapping[str, Array]) -> OptimizerState | None:
    """Read `policy.optimizer.pth`; its parameters are numbered in `named_parameters()` order."""
    raw = archive.members.get("policy.optimizer.pth")
    if raw is None:
        return None
    where = f"{archive.name}: policy.optimizer.pth"
    value, _ = read_torch(raw, where)
    try:
        (group,), state = value["param_groups"], value["state"]
        order = dict(zip(group["params"], tensors, strict=True))
        named = {order[index]: dict(values) for index, values in state.items()}
        settings = {key: item for key, item in group.items() if key != "params"}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NotPortable(f"{where} does not fit the policy's parameters") from error
    _check_optimizer(named, tensors, where)
    return OptimizerState(settings, named)


def _check_optimizer(
    state: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Array], where: str
) -> None:
    """Every value belongs to a whole parameter, or is one number such as `step`."""
    for name, values in state.items():
        for key, value in values.items():
            number = isinstance(value, np.ndarray | int | float)
            fits = number and np.shape(value) in ((), (1,), tensors[name].shape)
            if not fits or not np.isfinite(value).all():
                raise NotPortable(f"{where} holds a damaged {key} for {name}")


def _provenance(
    source: Source, archive: Archive, files: dict[str, SourceFile], imports: frozenset[Global]
) -> Provenance:
    checkpoint = SourceFile(source.checkpoint_name, archive.size, archive.sha256)
    return Provenance(
        kind=source.kind,
        location=source.location,
        revision=source.revision,
        files={"checkpoint": checkpoint, **files},
        sb3_version=archive.text("_stable_baselines3_version"),
        system_info=_system_info(archive.text("system_info.txt")),
        imports=tuple(sorted(map(str, imports))),
    )


def _system_info(text: str | None) -> dict[str, str]:
    """Read lines of `Python: 3.9.13`, with or without a leading dash."""
    pairs = (line.lstrip("- ").partition(":") for line in (text or "").splitlines())
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}


def _warnings(training: TrainingSettings) -> list[str]:
    """Name what is in the file but cannot be what it was trained with."""
    return [
        f"{name} {reason}"
        for name, schedule in training.schedules.items()
        if (reason := _unbelievable(schedule)) is not None
    ]


def _unbelievable(schedule: Schedule) -> str | None:
    if schedule == ConstantSchedule(0.0):
        return "is 0 in the file: it was saved again after training, and the true value is lost"
    if isinstance(schedule, CustomSchedule):
        return f"is a {schedule}, which is not run: for training it must be given anew"
    return None
