"""From an SB3 zip, and the VecNormalize pickle beside it, to a `Checkpoint`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sb3port.checkpoint.checkpoint import (
    Array,
    Checkpoint,
    EnvironmentSpec,
    PolicySpec,
    Provenance,
    SourceFile,
)
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import Box, Space, parts
from sb3port.errors import NotPortable
from sb3port.families.algorithms import PPO, algorithm_of, identify
from sb3port.families.base import Family
from sb3port.families.hyperparameters import training_doubts
from sb3port.families.names import COMPILED, canonical
from sb3port.families.parameters import parameters_of
from sb3port.families.registry import recognise_family
from sb3port.families.replay.names import canonical_networks
from sb3port.families.specs import PolicyOptions, build_spec, expected_shapes
from sb3port.families.wrappers import wrapper_warnings
from sb3port.files.budget import metered
from sb3port.readers.formats.archive import Archive, read_archive, read_unzipped
from sb3port.readers.formats.arrays import as_flag, as_number, is_number
from sb3port.readers.formats.records import Global
from sb3port.readers.formats.saved_policy import is_of_torch, read_saved_policy
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning.extractors import Vouched, check_layers, check_name
from sb3port.readers.meaning.policy_classes import PolicyClass, class_of_saved, read_policy_class
from sb3port.readers.meaning.policy_kwargs import PolicyKwargs, read_policy_kwargs
from sb3port.readers.meaning.replay import replay_warnings
from sb3port.readers.meaning.settings import read_settings
from sb3port.readers.meaning.spaces import own_classes, read_space
from sb3port.readers.meaning.statistics import read_statistics
from sb3port.readers.meaning.training import (
    optimizer_warnings,
    read_optimizer,
    read_optimizers,
    read_training,
    read_variables,
)
from sb3port.readers.meaning.unneeded import unneeded_code
from sb3port.readers.meaning.vecnormalize import ReadStatistics
from sb3port.readers.places.source import Source

_RATE = "exploration_rate"
_SPACES = ("observation_space", "action_space")
_MAX_SYSTEM_INFO = 4096  # SB3's has 300 characters
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")


@dataclass(frozen=True)
class _Policy:
    """What a zip says of its policy."""

    spec: PolicySpec
    tensors: dict[str, Array]
    ignored: dict[str, str]
    kwargs: PolicyKwargs
    imports: frozenset[Global]
    warnings: tuple[str, ...]


@metered
def read_checkpoint(
    source: Source,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
) -> Checkpoint:
    """Read a checkpoint whose files lie on this machine.

    Args:
        source: Where its files are.
        use_stats: False to leave VecNormalize statistics out, even where the zip shows that they were used.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        extractor: `module:Class`, where the user has the code of the features extractor, or `BY_NAME` for the
            one that the zip names; it is not imported.

    Raises:
        NotPortable: The zip or the statistics are damaged, or of a kind that is not supported.
        Unsafe: A file would run code when loaded with SB3.
        UsageError: The zip shows that observations were normalised, and no statistics are found; or it has no
            features extractor that an own one could replace.
    """
    return checkpoint_of(read_source(source), source, use_stats, assume_standard_forward, extractor)


@metered
def checkpoint_of(
    archive: Archive,
    source: Source,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
) -> Checkpoint:
    """Make a checkpoint of what `read_source` gave; errors are those of `read_checkpoint`."""
    if extractor is not None:
        check_name(extractor)
    imports = _imports(archive)
    policy = _read_policy(archive, imports, Vouched(assume_standard_forward, extractor, source.label))
    settings = read_settings(source)
    statistics, pairing, of_pairing = (
        read_statistics(source, archive, settings, policy.spec, _words(assume_standard_forward, extractor))
        if use_stats
        else (None, "left out, as asked", [])
    )
    algorithm = algorithm_of(policy.spec.algorithm)
    training = read_training(archive, algorithm, policy.kwargs.given)
    parameters = parameters_of(policy.spec, policy.tensors)
    optimizer, of_optimizer = read_optimizer(archive, parameters)
    others = {**({"statistics": statistics.file} if statistics else {}), **settings.files}
    known = policy.imports | of_optimizer | (statistics.imports if statistics else frozenset())
    provenance = _provenance(source, archive, others, known)
    return Checkpoint(
        spec=policy.spec,
        tensors=policy.tensors,
        normalizer=statistics.normalizer if statistics else None,
        training=training,
        optimizer=optimizer,
        provenance=replace(
            provenance,
            ignored=policy.ignored,
            pairing=pairing,
            no_stats=not use_stats,
            assume_standard_forward=assume_standard_forward,
            extractor=policy.kwargs.extractor.own,
        ),
        warnings=(
            *policy.warnings,
            *unneeded_code(archive, algorithm),
            *of_pairing,
            *settings.warnings,
            *wrapper_warnings(settings.environment),
            *training_doubts(training, settings.configured, algorithm),
            *optimizer_warnings(archive, optimizer),
            *replay_warnings(archive, algorithm),
        ),
        environment=_stacked(settings.environment, statistics, policy.spec),
        configured=settings.configured,
        optimizers=read_optimizers(archive, policy.spec, policy.tensors),
        variables=read_variables(archive, algorithm),
    )


def _words(assume_standard_forward: bool, extractor: str | None) -> tuple[str, ...]:
    """Give the options by which the user vouched for a policy, as on the command line."""
    vouched = ("--assume-standard-forward",) if assume_standard_forward else ()
    return (*vouched, "--extractor", extractor) if extractor is not None else vouched


def _stacked(
    environment: EnvironmentSpec, statistics: ReadStatistics | None, spec: PolicySpec
) -> EnvironmentSpec:
    """Note how many frames a policy sees, where statistics of one frame alone tell it."""
    stacks = stacks_of(statistics.normalizer if statistics else None, spec.observation_space)
    count = next((stack.count for stack in stacks.values()), None)
    return replace(environment, frame_stack=environment.frame_stack or count)


def read_source(source: Source) -> Archive:
    """Read the zip of a source, or what was in it; nothing of it is decoded yet.

    Raises:
        NotPortable: It is not a zip that SB3's `save` wrote, or it is damaged.
    """
    members = source.checkpoint.members
    if not members:
        path = source.path(source.checkpoint.name)
        return read_saved_policy(path) if is_of_torch(path) else read_archive(path)
    name = source.checkpoint.place.name or source.root.name
    return read_unzipped({member: source.path(name) for member, name in members.items()}, name)


def _read_policy(archive: Archive, imports: frozenset[Global], vouched: Vouched) -> _Policy:
    where = archive.name
    policy_class = _read_class(archive, vouched.standard_forward)
    value, more = read_torch(archive.members["policy.pth"], f"{where}: policy.pth", archive.tensors_in)
    value = value if archive.tensors_in is None else value[archive.tensors_in]
    kwargs = read_policy_kwargs(archive.value("policy_kwargs"), f"{where}: policy_kwargs", vouched)
    raw = _state_dict(value, where)
    known = imports | more
    family = policy_class.family or _recognised(raw, known)
    said = kwargs.given.get("share_features_extractor")
    found = canonical_networks(raw, family, said, where) if family.networks else canonical(raw, said, where)
    tensors, ignored, shares = found
    spaces = _read_spaces(archive)
    acting = {n.removeprefix(family.acting): a for n, a in tensors.items() if n.startswith(family.acting)}
    check_layers(spaces[0], acting, kwargs.extractor, where, vouched)
    facts = _PolicyFacts(family, shares, spaces[0])
    spec = build_spec(spaces, tensors, _options(archive, kwargs, facts), where)
    ordered = {name: tensors[name] for name in expected_shapes(spec, tensors)}
    warnings = (*filter(None, [policy_class.warning]), *_space_warnings(archive), *kwargs.warnings)
    return _Policy(spec, ordered, ignored, kwargs, known, warnings)


def _read_class(archive: Archive, assume_standard: bool) -> PolicyClass:
    """Read the policy class."""
    if archive.tensors_in is not None:
        return class_of_saved(archive.data)
    value = archive.value("policy_class")
    return read_policy_class(value, archive.data.get("policy_class"), assume_standard, archive.name)


@dataclass(frozen=True)
class _PolicyFacts:
    """What shows in tensors, pickles and spaces of which policy they are."""

    family: Family
    shares: bool
    observation_space: Space


def _recognised(tensors: Mapping[str, Array], imports: frozenset[Global]) -> Family:
    """Tell the family of a class that is not SB3's by the names of its tensors."""
    return recognise_family([name.replace(COMPILED, "") for name in tensors], list(map(str, imports)))


def _options(archive: Archive, kwargs: PolicyKwargs, facts: _PolicyFacts) -> PolicyOptions:
    family = facts.family
    algorithm = family.algorithm or _algorithm(archive)
    use_sde = as_flag(archive.value("use_sde", False), f"{archive.name}: use_sde")
    features_for_sde = kwargs.empty_sde_net_arch and _has_sde_net_arch(archive)
    given = _given(facts.observation_space, kwargs) | _explores(archive)
    return PolicyOptions(
        family,
        algorithm,
        use_sde,
        features_for_sde,
        facts.shares,
        given,
        kwargs.extractor.own,
        kwargs.extractor.arguments,
    )


def _algorithm(archive: Archive) -> str:
    return PPO.key if archive.tensors_in is not None else identify(archive.data, archive.name).key


def _given(space: Space, kwargs: PolicyKwargs) -> dict[str, Any]:
    """Give the keyword arguments; without images `normalized_image` is `normalize_images`."""
    images = any(isinstance(part, Box) and part.is_image for part in parts(space).values())
    implied = {"normalize_images": False} if kwargs.extractor.unnormalized_images and not images else {}
    return {**kwargs.given, **implied}


def _explores(archive: Archive) -> dict[str, float]:
    """Give how often DQN took a random action when it was saved."""
    rate = archive.value(_RATE)
    return {_RATE: float(as_number(rate))} if is_number(rate) else {}


def _has_sde_net_arch(archive: Archive) -> bool:
    """Whether its SB3 still did what `sde_net_arch` says; 1.3 to 1.6 took it and left it aside."""
    version = (archive.text("_stable_baselines3_version") or "0").split(".")[:2]
    return [int(part) if part.isdecimal() else 0 for part in version] < [1, 3]


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
    observation, action = (read_space(archive.value(name), f"{archive.name}: {name}") for name in _SPACES)
    return observation, action


def _space_warnings(archive: Archive) -> list[str]:
    return [sentence for name in _SPACES for sentence in own_classes(archive.value(name), name)]


def _state_dict(value: Any, where: str) -> dict[str, Array]:
    tensors = value if isinstance(value, dict) else {}
    if not tensors or not all(isinstance(name, str) and hasattr(a, "dtype") for name, a in tensors.items()):
        raise NotPortable(f"{where}: policy.pth is not a dictionary of named tensors")
    return tensors


def _provenance(
    source: Source, archive: Archive, files: dict[str, SourceFile], imports: frozenset[Global]
) -> Provenance:
    return Provenance(
        kind=source.kind,
        location=source.location,
        revision=source.revision,
        files={**files_of(archive, source), **files},
        sb3_version=version_of(archive),
        system_info=system_info_of(archive),
        imports=tuple(sorted(map(str, imports))),
    )


def files_of(archive: Archive, source: Source) -> dict[str, SourceFile]:
    """Give the files that were read, by role and by their names within the source."""
    names = source.checkpoint.files
    return {role: replace(file, name=names[role]) for role, file in archive.files.items()}


def version_of(archive: Archive) -> str | None:
    """Give a version that looks like one: it is shown in places that a stranger should not write to."""
    text = archive.text("_stable_baselines3_version")
    return text if text and _VERSION.fullmatch(text) else None


def system_info_of(archive: Archive) -> dict[str, str]:
    """Read lines of `Python: 3.9.13`, with or without a leading dash."""
    lines = (archive.text("system_info.txt") or "")[:_MAX_SYSTEM_INFO].splitlines()
    pairs = (line.lstrip("- ").partition(":") for line in lines)
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}
