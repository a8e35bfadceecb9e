"""What a user names as a policy, wherever a command asks for one: a port, a run of several, or a SOURCE.

Each is found and read here alone. What works on the folder of a port, as LeRobot does, gets one of a SOURCE,
too, which is gone in the end.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypedDict

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands.handed_back import Reading
from sb3port.commands.own_code import use_extractor
from sb3port.commands.sandboxed import read_guarded
from sb3port.errors import NotPortable, UsageError
from sb3port.families.extractors import BY_NAME
from sb3port.ports.finding import fetch_port, port_here
from sb3port.ports.reading import read_port
from sb3port.ports.unchanged import change_warnings
from sb3port.ports.writing import write_port
from sb3port.readers.places.source import PortOnHub, Source, SourceOptions, local_path, resolve

Announce: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class ReadOptions:
    """How a policy is found and read.

    Args:
        source: What narrows a SOURCE down.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        extractor: `module:Class` of a features extractor whose code is the user's own.
        sandbox: Whether a process with limits reads it; None for that where files come from the Hub.
        last: Of a run, take the last checkpoint instead of the best one.

    Raises:
        UsageError: Statistics are named that are to be left out.
    """

    source: SourceOptions = field(default_factory=SourceOptions)
    use_stats: bool = True
    assume_standard_forward: bool = False
    extractor: str | None = None
    sandbox: bool | None = None
    last: bool = False

    def __post_init__(self) -> None:
        if self.source.vecnormalize is not None and not self.use_stats:
            raise UsageError(
                "--vecnormalize names statistics that --no-stats leaves out", "drop one of the two"
            )

    @property
    def concern_sources(self) -> bool:
        """Whether one is given that a port, which holds one policy and its statistics, has no use for."""
        narrowed = replace(self.source, revision=None) != SourceOptions()
        return narrowed or not self.use_stats or self.assume_standard_forward

    def reading(self, source: Source, by_name: bool = False) -> Reading:
        """Give what is to be read; `by_name` takes any extractor for what it is called, without importing."""
        extractor = self.extractor or (BY_NAME if by_name else None)
        return Reading(source, self.use_stats, self.assume_standard_forward, extractor)


class ReadArguments(TypedDict, total=False):
    """The arguments of `read_options` that functions of the package hand on, all of them optional."""

    filename: str | None
    revision: str | None
    vecnormalize: str | Path | None
    use_stats: bool
    assume_standard_forward: bool
    sandbox: bool | None
    last: bool


def read_options(
    filename: str | None = None,
    revision: str | None = None,
    vecnormalize: str | Path | None = None,
    use_stats: bool = True,
    assume_standard_forward: bool = False,
    extractor: str | None = None,
    sandbox: bool | None = None,
    last: bool = False,
) -> ReadOptions:
    """Put together `ReadOptions`, whose arguments and errors these are, and those of `SourceOptions`."""
    statistics = Path(vecnormalize) if vecnormalize is not None else None
    narrowed = SourceOptions(filename, revision, statistics)
    return ReadOptions(narrowed, use_stats, assume_standard_forward, extractor, sandbox, last)


@dataclass(frozen=True)
class Policy:
    """A policy that was found, and is read when it is looked at.

    Args:
        label: As the user named it.
        options: How it is read.
        port: The folder of a port, None for a SOURCE.
        source: A SOURCE, None for a port.
        choice: A sentence on why this checkpoint of a run, empty for what is none.
    """

    label: str
    options: ReadOptions
    port: Path | None = None
    source: Source | None = None
    choice: str = ""

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The policy; what features extractor of its own it has is told by its name."""
        return self._read(by_name=True)

    @cached_property
    def as_named(self) -> Checkpoint:
        """The policy, refused where a SOURCE has a features extractor that the user would have to name.

        A port says itself which one it has.
        """
        if self.port is not None and self.options.extractor is not None:
            raise _has_its_own(self.label)
        return self._read(by_name=False)

    @cached_property
    def runnable(self) -> Checkpoint:
        """The policy, after its features extractor was imported on the user's word; see `use_extractor`."""
        use_extractor(self.checkpoint.spec, self.options.extractor, self.label)
        return self.checkpoint

    def _read(self, by_name: bool) -> Checkpoint:
        if self.source is None:
            assert self.port is not None
            return read_port(self.port)
        return read_guarded(self.options.reading(self.source, by_name), self.options.sandbox)

    @property
    def warnings(self) -> list[str]:
        """What is to be said of it: where a port has changed, or what reading a SOURCE has found."""
        return list(self.checkpoint.warnings) if self.port is None else change_warnings(self.port)


def find_policy(
    label: str | Path,
    options: ReadOptions | None = None,
    announce: Announce = lambda _: None,
    rereads: bool = False,
    one_of_two: bool = False,
) -> Policy:
    """Find a policy: a port, a run for its best checkpoint, or else a SOURCE of `convert`.

    Args:
        label: As the user names it.
        options: How to find and read it.
        announce: Called with a sentence on which checkpoint of a run is taken, and why.
        rereads: Whether the source of a port will be read, too, which `sandbox` may then be for.
        one_of_two: Whether the options that it has no use for are for another policy.

    Raises:
        UsageError: There is none, or options are given that it has no use for.
        Sb3portError: As `resolve` and `port_here`.
    """
    options = options or ReadOptions()
    label = re.sub(r"^hf:/+", "hf://", str(label))  # a `Path` has one slash where the user wrote two
    found = _find(label, options)
    if not one_of_two:
        _refuse_useless(found, rereads)
    if found.choice:
        announce(found.choice)
    return found


def _find(label: str, options: ReadOptions) -> Policy:
    path = local_path(label) if label.strip() else None
    here = port_here(path, options.last) if path is not None and path.is_dir() else None
    if here is not None:
        return Policy(label, options, here.folder, choice=here.choice)
    try:
        return Policy(label, options, source=resolve(label, options.source, prefer_port=True))
    except PortOnHub as found:
        return Policy(label, options, fetch_port(found.files))


def _refuse_useless(found: Policy, rereads: bool) -> None:
    label, options = found.label, found.options
    if options.last and not found.choice:
        raise UsageError(f"{label} is no run of a training, of which --last takes the last", "drop --last")
    if found.port is None:
        return
    here = local_path(label) is not None
    if options.concern_sources or (here and options.source.revision is not None):
        raise _has_its_own(label)
    if options.sandbox and not rereads:
        raise UsageError(f"{label} is a port, and --sandbox is for the pickles of a source", "drop --sandbox")


def _has_its_own(label: str) -> UsageError:
    return UsageError(f"{label} is a port, which holds one policy and its statistics", "drop the options")


def read_policy(label: str | Path, options: ReadOptions | None = None) -> Checkpoint:
    """Find a policy and read it; no code of its own is imported. Errors are those of `find_policy`."""
    return find_policy(label, options).checkpoint


@contextmanager
def as_port(policy: Policy) -> Iterator[Path]:
    """Give the folder of a port: that of the policy, or for a SOURCE a temporary one, which is removed."""
    if policy.port is not None:
        yield policy.port
        return
    with tempfile.TemporaryDirectory(prefix="sb3port-") as scratch:
        folder = Path(scratch) / "port"
        folder.mkdir()
        write_new(policy.checkpoint, folder, folder)
        yield folder


def write_new(checkpoint: Checkpoint, folder: Path, dest: Path) -> int:
    """Write a port into an empty folder, which `dest` is called in messages, and say how many bytes it has.

    Raises:
        UsageError: It cannot be written.
        NotPortable: There is a name in it that no file can hold.
    """
    try:
        return write_port(checkpoint, folder)
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {error.strerror or error}") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair, which no safetensors file can hold
        name = checkpoint.provenance.name
        raise NotPortable(f"{name} has a name in it that is no text: {error.object[:200]!r}") from error
