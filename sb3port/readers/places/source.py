"""What a user names as SOURCE, resolved to files on this machine.

SOURCE is a Hub repository (`org/name`, `org/name@revision`, `hf://org/name/file.zip`), a zip, or a folder in
any of the layouts that SB3's tools make. An existing local path beats a Hub name.
"""

import os
import posixpath
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sb3port.errors import NotPortable, Unsafe, UsageError
from sb3port.files.budget import metered
from sb3port.files.port_files import PORT_FILE
from sb3port.files.untrusted import refuse_outside
from sb3port.readers.places.layouts import Candidate, choose_settings, pickles
from sb3port.readers.places.locations import read_location, refuse_absent
from sb3port.readers.places.pairing import (
    Several,
    Statistics,
    choose_checkpoint,
    choose_statistics,
    given_statistics,
    listed,
)
from sb3port.readers.places.source_files import Files, LocalFiles, list_folder, surroundings, within

if TYPE_CHECKING:
    from sb3port.readers.places.hub import RepoFiles


class PortOnHub(UsageError):
    """The repository holds a port, where an SB3 checkpoint was looked for (2).

    Args:
        files: What is in it.
    """

    def __init__(self, files: "RepoFiles") -> None:
        label = files.repo_id
        super().__init__(f"{label} is a port already", f"verify it with: sb3port verify {label}")
        self.files = files


@dataclass(frozen=True)
class Source:
    """The local files of one checkpoint, and where they come from.

    Args:
        label: What to call it in messages: as the user named it.
        kind: "hub", "file" or "folder".
        location: Repository id, or absolute path.
        revision: Commit hash on the Hub, else None.
        root: The folder that holds the files under their names within the source.
        checkpoint: The zip, or the files of one that was unzipped.
        statistics: The VecNormalize pickles that may go with it; none, one, or several to tell apart.
        reference: Recorded outputs (`reference.npz`) beside a local source, None where there are none.
        settings: The names of rl_zoo3's files and of the model card.
        words: How the user names it on the command line: SOURCE and the options that narrow it down.
    """

    label: str
    kind: str
    location: str
    revision: str | None
    root: Path
    checkpoint: Candidate
    statistics: Statistics
    reference: Path | None
    settings: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def command(self, *options: str) -> str:
        """Give a command that ports it with these options, to be pasted into a shell."""
        return shlex.join(["sb3port", "convert", *(self.words or (self.label,)), *options])

    def from_here(self, name: str) -> str:
        """Give the path by which a user names a file of it: from their own folder, or within a repository."""
        if self.kind == "hub" or Path(name).is_absolute():
            return name
        path = os.path.normpath(self.root / name)
        # `..` after a link to a folder leads elsewhere than the words say.
        return path if Path(path).exists() and (self.root / name).samefile(path) else str(self._real(name))

    def _real(self, name: str) -> Path:
        return Path(os.path.realpath(self.root / name))

    def path(self, name: str) -> Path:
        """Give the local path of a file by its name within the source; an absolute path stays what it is.

        Raises:
            Unsafe: A link leads out of the source, and the user did not name that file.
        """
        path = self.root / name
        named = Path(name).is_absolute() or (self.kind == "file" and name == self.checkpoint.name)
        if not named:
            refuse_outside(path, within(self.root, name), f"{name} of {self.label}")
        return path


@dataclass(frozen=True)
class SourceOptions:
    """What a user may say to narrow a source down.

    Args:
        filename: The zip within a repository or folder, or a folder in it to choose from.
        revision: Branch, tag or commit on the Hub.
        vecnormalize: A VecNormalize pickle to use: a path on this machine, or a name within the source.
        statistics: The names within the source that a port records, one or none; None to choose.
    """

    filename: str | None = None
    revision: str | None = None
    vecnormalize: Path | None = None
    statistics: tuple[str, ...] | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Those that say which checkpoint is meant, as on the command line."""
        named = (("--filename", self.filename), ("--revision", self.revision))
        return tuple(word for option, value in named if value is not None for word in (option, value))


@metered
def resolve(label: str, options: SourceOptions, prefer_port: bool = False) -> Source:
    """Find the files of a checkpoint, fetching them from the Hub where they are not local.

    Args:
        label: SOURCE, as the user names it.
        options: What narrows it down.
        prefer_port: Whether of a repository that holds both, a port is meant unless a file is named.

    Raises:
        UsageError: The path is absent, an option does not apply, or several checkpoints could be meant.
        PortOnHub: The repository holds a port, and no checkpoint beside it, or the port is preferred.
        NotPortable: The folder or repository holds no checkpoint.
        SourceUnreachable: The Hub does not have it, or cannot be reached.
    """
    if not label.strip():
        raise UsageError("SOURCE is empty")
    return replace(_resolve(label, options, prefer_port), words=(label, *options.words))


def _resolve(label: str, options: SourceOptions, prefer_port: bool) -> Source:
    path = local_path(label)
    if path is not None:
        return _resolve_local(label, path, options)
    refuse_absent(label)
    place = read_location(label)
    for option, given, named in (
        ("--revision", options.revision, place.revision),
        ("--filename", options.filename, place.path),
    ):
        if named and given not in (None, named):
            raise UsageError(f"{label} names {named} and {option} names {given}", f"drop {option}")
    revision, filename = place.revision or options.revision, place.path or options.filename
    return resolve_hub(place.repo_id, replace(options, revision=revision, filename=filename), prefer_port)


def local_path(label: str) -> Path | None:
    """Give the existing local path of that name, `.zip` added where SB3 adds it.

    What cannot be a path (`~nobody`, too long) is none.
    """
    try:
        path = Path(label).expanduser()
        return path if path.exists() else _zipped(label, path)
    except (RuntimeError, OSError):
        return None


def _zipped(label: str, path: Path) -> Path | None:
    """Give the zip that SB3's `load` opens for a path without `.zip`."""
    zipped = Path(f"{path}.zip")
    return zipped if not label.endswith(("/", os.sep)) and zipped.is_file() else None


def _resolve_local(label: str, path: Path, options: SourceOptions) -> Source:
    if options.revision is not None:
        raise UsageError(f"--revision applies to Hub repositories, and {label} is on this machine")
    if not path.is_dir():
        return _resolve_file(label, path, options)
    files = list_folder(path)
    try:
        checkpoint = _choose(files, path, label, options.filename)
    except NotPortable:
        # A folder without a checkpoint, beside the zip of its name: rl_zoo3 keeps statistics there.
        if options.filename is not None or (zipped := _zipped(label, path)) is None:
            raise
        return _resolve_file(label, zipped, options)
    return _local_source(label, "folder", path, files, checkpoint, options)


def _resolve_file(label: str, path: Path, options: SourceOptions) -> Source:
    if options.filename is not None:
        raise UsageError(f"--filename applies to folders and Hub repositories, and {label} is a file")
    files = LocalFiles(path.parent, [path.name])
    return _local_source(label, "file", path, files, Candidate(path.name), options)


def is_within(path: Path, folder: Path) -> bool:
    """Whether there is a file that no link leads to from without."""
    try:
        refuse_outside(path, folder, path.name)
    except Unsafe:
        return False
    return path.is_file()


def _choose(files: LocalFiles, path: Path, label: str, filename: str | None) -> Candidate:
    try:
        return choose_checkpoint(files, absolute(path).name, label, filename)
    except (NotPortable, UsageError) as error:
        if files.links:
            error.hint = f"{error.hint or ''}; links to folders are not followed: {listed(files.links)}"
        raise


def absolute(path: Path) -> Path:
    """Give an absolute path without `..`, through symbolic links: in the Hub's cache names lead to hashes."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.resolve follows links)


def _local_source(
    label: str, kind: str, path: Path, files: LocalFiles, checkpoint: Candidate, options: SourceOptions
) -> Source:
    around = surroundings(files.root, checkpoint)
    reference = files.root / checkpoint.place.parent / "reference.npz"
    return Source(
        label=label,
        kind=kind,
        location=str(absolute(path)),
        revision=None,
        root=files.root,
        checkpoint=checkpoint,
        statistics=_statistics(around, checkpoint, label, options, files.names),
        reference=reference if is_within(reference, files.root) else None,
        settings=choose_settings(around.names, checkpoint, absolute(files.root).name),
    )


@metered
def resolve_hub(repo_id: str, options: SourceOptions, prefer_port: bool = False) -> Source:
    """Fetch the files of a checkpoint from a Hub repository; arguments and errors are those of `resolve`."""
    from sb3port.readers.places import hub

    files = hub.list_repo(repo_id, options.revision)
    is_port = PORT_FILE in files.names and options.filename is None
    if is_port and prefer_port:
        raise PortOnHub(files)
    try:
        checkpoint = choose_checkpoint(files, repo_id.partition("/")[2], repo_id, options.filename)
    except NotPortable:
        if is_port:
            raise PortOnHub(files) from None
        raise
    except Several as several:
        several.revision = files.revision
        raise
    statistics = _statistics(files, checkpoint, repo_id, options)
    settings = choose_settings(files.names, checkpoint, repo_id.partition("/")[2])
    others = [name for name in (*statistics.names, *settings) if not Path(name).is_absolute()]
    return Source(
        label=repo_id,
        kind="hub",
        location=repo_id,
        revision=files.revision,
        root=files.fetch([*checkpoint.files.values(), *others]),
        checkpoint=checkpoint,
        statistics=statistics,
        reference=None,
        settings=settings,
        words=(repo_id, *options.words),
    )


def _statistics(
    files: Files, checkpoint: Candidate, label: str, options: SourceOptions, more: Sequence[str] = ()
) -> Statistics:
    """Take the statistics that the user or a port names, of `more` names too, else choose."""
    given = options.vecnormalize
    if given is not None and given.is_file():
        return given_statistics(str(absolute(given)))
    if given is None and options.statistics is None:
        return choose_statistics(files, checkpoint)
    named = options.statistics if given is None else (given.as_posix(),)
    known = dict.fromkeys((*more, *files.names))
    return given_statistics(*(_named(name, known, checkpoint, label) for name in named or ()))


def _named(name: str, known: Collection[str], checkpoint: Candidate, label: str) -> str:
    """Find a file by its name within the source, or as seen from the checkpoint."""
    for folder in (PurePosixPath(), checkpoint.folder):
        found = posixpath.normpath(folder / name)
        if found in known:
            return found
    inside = sorted(pickles(known), key=lambda other: other.startswith("../"))
    raise UsageError(
        f"--vecnormalize {name} is neither a file on this machine nor one of {label}",
        f"its pickles are: {listed(inside)}",
    )
