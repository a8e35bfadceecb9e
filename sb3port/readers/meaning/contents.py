"""Everything that a checkpoint's files say, read as far as each goes: a refusal is a part of it, and no end.

What a policy is made of is read by `sb3`. Of what that refuses, the parts are read here one by one: the
settings of any algorithm of SB3's, its spaces, its tensors by name, and what its pickles would import.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.contents import Contents, ImportEntry, Loading, Refusal, TensorEntry
from sb3port.checkpoint.spaces import Space
from sb3port.errors import MalformedPickle, NotPortable, Sb3portError, Unsafe, UsageError
from sb3port.families.algorithms import display_name, identify
from sb3port.families.registry import family_of_class
from sb3port.files.budget import Cost, metered, spend
from sb3port.files.untrusted import read_untrusted
from sb3port.readers.formats.archive import Archive, read_archive
from sb3port.readers.formats.arrays import as_plain
from sb3port.readers.formats.audit import refuse_dangerous
from sb3port.readers.formats.groups import group_of
from sb3port.readers.formats.named import Named, named_globals
from sb3port.readers.formats.pickles import names_in
from sb3port.readers.formats.records import Global, Record, describe
from sb3port.readers.formats.tensors import list_tensors
from sb3port.readers.meaning.loading import read_loading
from sb3port.readers.meaning.sb3 import (
    checkpoint_of,
    files_of,
    read_source,
    system_info_of,
    version_of,
)
from sb3port.readers.meaning.schedules import read_schedule
from sb3port.readers.meaning.settings import Settings, read_settings
from sb3port.readers.meaning.spaces import read_space
from sb3port.readers.meaning.training import python_of
from sb3port.readers.meaning.vecnormalize import read_vecnormalize
from sb3port.readers.places.source import Source

_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf", "exploration_schedule", "delta_std_schedule")
# They are shown on their own, or tell nothing: SB3 makes them anew.
_ASIDE = ("policy_class", "observation_space", "action_space", "lr_schedule")
_BUFFERS = ("ep_info_buffer", "ep_success_buffer")
# What a refusal can be, the more special first.
_KINDS = (MalformedPickle, Unsafe, NotPortable, UsageError, Sb3portError)
_MAX_ITEMS, _MAX_DEPTH, _LONGEST = 50, 3, 300

T = TypeVar("T")


@metered
def read_contents(
    source: Source,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
) -> Contents:
    """Read all that can be read of a checkpoint; the arguments are those of `read_checkpoint`.

    Raises:
        NotPortable: It is no zip of SB3's at all.
        Unsafe: It was made to deceive whoever opens it.
    """
    archive, refused = _archive(source)
    parts = _Parts(archive)
    checkpoint: Checkpoint | None = None
    if refused is None:
        checkpoint, refused = _checkpoint(archive, source, use_stats, assume_standard_forward, extractor)
    names = parts.names()
    refused = _audited(refused, names, archive.name)
    settings = parts.read(lambda: read_settings(source), Settings())
    policy_class = parts.read(lambda: archive.value("policy_class"), None)
    loading: Loading | None = parts.read(lambda: read_loading(archive, checkpoint), None)
    return Contents(
        files=checkpoint.provenance.files if checkpoint else {**files_of(archive, source), **settings.files},
        algorithm=_algorithm(archive, checkpoint, policy_class),
        policy_class=_class_name(policy_class),
        sb3_version=version_of(archive),
        system_info=system_info_of(archive),
        observation_space=parts.space("observation_space"),
        action_space=parts.space("action_space"),
        settings=parts.settings(),
        tensors=parts.tensors(),
        imports=_imports(names, checkpoint),
        environment=settings.environment,
        configured=settings.configured,
        origins=settings.origins,
        loading=loading,
        checkpoint=checkpoint,
        refusal=None if refused is None else _refusal(refused),
        unread=tuple(text for text in parts.unread if refused is None or text not in refused.message),
    )


@metered
def read_statistics_file(path: Path) -> Contents:
    """Read a pickle that may be a VecNormalize.

    Raises:
        NotPortable: It cannot be read at all.
    """
    raw = read_untrusted(path, path.name)
    names = sorted(names_in(raw, path.name), key=str)
    imports = tuple(ImportEntry(path.name, "", str(name), group_of(name).value) for name in names)
    try:
        found = read_vecnormalize(path)
    except Sb3portError as error:
        return Contents({}, imports=imports, refusal=_refusal(error))
    return Contents(
        {"statistics": found.file}, imports=imports, normalizer=found.normalizer, unread=found.warnings
    )


def _archive(source: Source) -> tuple[Archive, Sb3portError | None]:
    """Read the zip; one with settings and without tensors cannot be ported, and SB3 unpickles it first."""
    try:
        return read_source(source), None
    except NotPortable as error:
        if source.checkpoint.members:
            raise
        try:
            return read_archive(source.path(source.checkpoint.name), ("data",)), error
        except NotPortable:
            raise error from None


def _checkpoint(
    archive: Archive, source: Source, use_stats: bool, assume_standard_forward: bool, extractor: str | None
) -> tuple[Checkpoint | None, Sb3portError | None]:
    """Make the policy, or say why not; where only its statistics are missing, make it without them."""
    try:
        return checkpoint_of(archive, source, use_stats, assume_standard_forward, extractor), None
    except Sb3portError as error:
        if not use_stats or not isinstance(error, UsageError):
            return None, error
        bare, _ = _checkpoint(archive, source, False, assume_standard_forward, extractor)
        return bare, error


def _audited(refused: Sb3portError | None, names: list[Named], where: str) -> Sb3portError | None:
    """Refuse a file as unsafe first, whatever else is wrong with it."""
    if isinstance(refused, Unsafe):
        return refused
    try:
        refuse_dangerous((named.name for named in names), where)
    except Unsafe as error:
        return error
    return refused


def _imports(names: list[Named], checkpoint: Checkpoint | None) -> tuple[ImportEntry, ...]:
    """List the names in the zip, and those that are in the pickle of the statistics alone."""
    found = [ImportEntry(n.member, n.field, str(n.name), n.group.value) for n in names]
    statistics = checkpoint.provenance.files.get("statistics") if checkpoint else None
    if checkpoint is not None and statistics is not None:
        known = {entry.name for entry in found}
        for name in (name for name in checkpoint.provenance.imports if name not in known):
            module, _, last = name.rpartition(".")
            found.append(ImportEntry(statistics.name, "", name, group_of(Global(module, last)).value))
    return tuple(found)


def _refusal(error: Sb3portError) -> Refusal:
    kind = next(known for known in _KINDS if isinstance(error, known))
    return Refusal(kind.__name__, error.message, error.hint)


def _algorithm(archive: Archive, checkpoint: Checkpoint | None, policy_class: Any) -> str:
    """Name the algorithm, as SB3's class is called."""
    if checkpoint is not None:
        return display_name(checkpoint.spec.algorithm)
    name = str(policy_class) if isinstance(policy_class, Global) else ""
    family = family_of_class(name)
    if family is not None and family.algorithm is not None:
        return display_name(family.algorithm)
    try:
        return identify(archive.data, archive.name).name
    except NotPortable:
        return ""


def _class_name(value: Any) -> str:
    return "" if value is None else describe(value)


class _Parts:
    """Reads the parts of a zip, each as far as it goes.

    Attributes:
        unread: Sentences on what could not be read.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.unread: list[str] = []

    def read(self, part: Callable[[], T], otherwise: T) -> T:
        """Read a part, and note why it cannot be read."""
        try:
            return part()
        except Sb3portError as error:
            self.unread = list(dict.fromkeys((*self.unread, error.message[: 2 * _LONGEST])))
            return otherwise

    def names(self) -> list[Named]:
        """List every name in every pickle: one that is damaged hides none that is in another."""
        archive = self.archive
        fields = [replace(archive, data={key: archive.data[key]}, members={}) for key in archive.data]
        members = [replace(archive, data={}, members={name: raw}) for name, raw in archive.members.items()]
        return [named for part in (*fields, *members) for named in self._names_in(part)]

    def _names_in(self, part: Archive) -> list[Named]:
        return self.read(lambda: named_globals(part), [])

    def space(self, name: str) -> Space | None:
        """Read a space, None where there is none."""
        if name not in self.archive.data:
            return None
        where = self.archive.where(name)
        return self.read(lambda: read_space(self.archive.value(name), where), None)

    def tensors(self) -> tuple[TensorEntry, ...]:
        """List the tensors of every torch file."""
        archive = self.archive
        found = []
        for member in (name for name in archive.members if name.endswith(".pth")):
            below = archive.tensors_in if member == "policy.pth" else None
            listed = self._listed(member, below)
            found += [TensorEntry(member, name[:_LONGEST], *entry) for name, entry in listed.items()]
        return tuple(found)

    def _listed(self, member: str, below: str | None) -> dict[str, tuple[tuple[int, ...], str]]:
        return self.read(lambda: list_tensors(self.archive.members[member], member, below), {})

    def settings(self) -> dict[str, Any]:
        """Read the settings, each as a plain value or as a text."""
        data, python = self.archive.data, python_of(self.archive)
        kept = [key for key in data if not key.startswith("_") and key not in (*_ASIDE, *_BUFFERS)]
        spend(Cost.VALUES, len(kept), self.archive.name)
        settings = {}
        for key in kept:
            value = self._value(key)
            if key in _SCHEDULES and isinstance(value, Record):
                value = str(read_schedule(value, self.archive.where(key), python))
            settings[key[:_LONGEST]] = _told(value)
        return settings

    def _value(self, key: str) -> Any:
        return self.read(lambda: self.archive.value(key), "cannot be read")


def _told(value: Any, depth: int = 0) -> Any:
    """Tell a value in plain ones: a class by its name, an object by that of its class."""
    spend(Cost.VALUES, 1, "settings")
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, Global):
        return describe(value)
    if isinstance(value, Record) and value.calls("collections.OrderedDict"):
        value = dict(value.pairs)
    if isinstance(value, dict | list | tuple):
        return _told_container(value, depth)
    try:
        return as_plain(value, "a setting")
    except NotPortable:
        return _told_object(value, depth)


def _told_container(value: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> Any:
    if depth == _MAX_DEPTH or len(value) > _MAX_ITEMS:
        return f"{len(value):,} items"
    if isinstance(value, dict):
        return {str(key)[:_LONGEST]: _told(item, depth + 1) for key, item in value.items()}
    return [_told(item, depth + 1) for item in value]


def _told_object(value: Any, depth: int) -> Any:
    """Tell an object, such as a TrainFreq, with its arguments where they are few."""
    if not isinstance(value, Record) or not isinstance(value.target, Global):
        return describe(value)
    if value.target.module.startswith("torch."):
        return "a tensor"
    name = value.target.name.rpartition(".")[2][:_LONGEST]
    arguments = [_told(item, depth + 1) for item in value.args] if depth < _MAX_DEPTH else []
    plain = [str(item) for item in arguments if isinstance(item, str | int | float | None)]
    return f"{name}({', '.join(plain)[:_LONGEST]})" if plain and len(plain) == len(arguments) else name


def contents_of_port(checkpoint: Checkpoint) -> Contents:
    """Give the contents of a port, which is whole."""
    provenance, spec = checkpoint.provenance, checkpoint.spec
    entries = ((name, array.shape, str(array.dtype)) for name, array in checkpoint.tensors.items())
    return replace(
        Contents(provenance.files, display_name(spec.algorithm)),
        sb3_version=provenance.sb3_version,
        system_info=provenance.system_info,
        observation_space=spec.observation_space,
        action_space=spec.action_space,
        tensors=tuple(TensorEntry("model.safetensors", *entry) for entry in entries),
        environment=checkpoint.environment,
        configured=checkpoint.configured,
        checkpoint=checkpoint,
    )
