"""From an SB3 zip, and the VecNormalize pickle beside it, to a `Checkpoint`."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sb3port.checkpoint import Array, Checkpoint, Normalizer, PolicySpec, Provenance, SourceFile
from sb3port.errors import NotPortable, UsageError
from sb3port.families.actor_critic import PolicyOptions, build_spec, expected_shapes
from sb3port.families.algorithms import Algorithm, identify
from sb3port.families.policies import check_policy_class
from sb3port.readers.archive import Archive, read_archive
from sb3port.readers.arrays import as_flag
from sb3port.readers.policy_kwargs import read_policy_kwargs
from sb3port.readers.records import Global
from sb3port.readers.source import Source
from sb3port.readers.spaces import read_space
from sb3port.readers.tensors import read_torch
from sb3port.readers.training import read_optimizer, read_training, training_warnings
from sb3port.readers.vecnormalize import read_vecnormalize
from sb3port.spaces import Space

_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")


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
    imports = _imports(archive)
    check_policy_class(archive.value("policy_class"), archive.name)
    algorithm = identify(archive.data, archive.name)
    kwargs = read_policy_kwargs(archive.value("policy_kwargs"), f"{archive.name}: policy_kwargs")
    spec, tensors, of_policy = _read_policy(archive, algorithm, kwargs)
    normalizer, files, of_statistics = _read_normalizer(source, archive, spec, use_stats)
    training = read_training(archive, algorithm, kwargs)
    optimizer, of_optimizer = read_optimizer(archive, tensors)
    provenance = _provenance(source, archive, files, imports | of_policy | of_statistics | of_optimizer)
    return Checkpoint(
        spec=spec,
        tensors=tensors,
        normalizer=normalizer,
        training=training,
        optimizer=optimizer,
        provenance=replace(provenance, no_stats=not use_stats),
        warnings=(
            *_statistics_warnings(archive, normalizer),
            *training_warnings(archive, training, optimizer),
        ),
    )


def _read_policy(
    archive: Archive, algorithm: Algorithm, kwargs: Mapping[str, Any]
) -> tuple[PolicySpec, dict[str, Array], frozenset[Global]]:
    where = archive.name
    raw, imports = read_torch(archive.members["policy.pth"], f"{where}: policy.pth")
    options = PolicyOptions(as_flag(archive.value("use_sde", False), f"{where}: use_sde"), kwargs)
    tensors = _state_dict(raw, where)
    spec = build_spec(algorithm.key, _read_spaces(archive), tensors, options, where)
    return spec, {name: tensors[name] for name in expected_shapes(spec)}, imports


def _imports(archive: Archive) -> frozenset[Global]:
    """Every global in the pickles of `data` and of torch files that are not read otherwise.

    They are not needed, but SB3 before 2.8 unpickles them all the same.
    """
    data = [archive.pickle(key).imports for key in archive.data if archive.is_pickled(key)]
    read = ("policy.pth", "policy.optimizer.pth")
    others = [name for name in archive.members if name.endswith(".pth") and name not in read]
    torch_files = [read_torch(archive.members[name], f"{archive.name}: {name}")[1] for name in others]
    return frozenset().union(*data, *torch_files)


def _read_spaces(archive: Archive) -> tuple[Space, Space]:
    observation = read_space(
        archive.value("observation_space"), f"{archive.name}: observation_space", ("Box",)
    )
    return observation, read_space(archive.value("action_space"), f"{archive.name}: action_space")


def _state_dict(value: Any, where: str) -> dict[str, Array]:
    tensors = value if isinstance(value, dict) else {}
    if not tensors or not all(isinstance(name, str) and hasattr(a, "dtype") for name, a in tensors.items()):
        raise NotPortable(f"{where}: policy.pth is not a dictionary of named tensors")
    return tensors


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


def _statistics_warnings(archive: Archive, normalizer: Normalizer | None) -> list[str]:
    """The zip of a training without VecNormalize looks like this, and so do a few of one with it."""
    if normalizer is None or archive.data.get("_last_original_obs") is not None:
        return []
    return ["the zip does not show that VecNormalize was used in training, but its statistics are applied"]


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


def _provenance(
    source: Source, archive: Archive, files: dict[str, SourceFile], imports: frozenset[Global]
) -> Provenance:
    checkpoint = SourceFile(source.checkpoint_name, archive.size, archive.sha256)
    return Provenance(
        kind=source.kind,
        location=source.location,
        revision=source.revision,
        files={"checkpoint": checkpoint, **files},
        sb3_version=_version(archive.text("_stable_baselines3_version")),
        system_info=_system_info(archive.text("system_info.txt")),
        imports=tuple(sorted(map(str, imports))),
    )


def _version(text: str | None) -> str | None:
    """Give a version that looks like one: it is shown in places that a stranger should not write to."""
    return text if text and _VERSION.fullmatch(text) else None


def _system_info(text: str | None) -> dict[str, str]:
    """Read lines of `Python: 3.9.13`, with or without a leading dash."""
    pairs = (line.lstrip("- ").partition(":") for line in (text or "").splitlines())
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}
