"""Scanning files, folders and repositories: whatever somebody would load by unpickling or importing."""

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path, PurePosixPath

from sb3port.errors import NotPortable, Sb3portError, UsageError
from sb3port.files.budget import budget, factor, metered
from sb3port.files.untrusted import open_untrusted
from sb3port.readers.places.locations import read_location, refuse_absent
from sb3port.scanning.contents import HEAD, PICKLES, Contents, Kind, kind_of
from sb3port.scanning.findings import ScannedFile, Verdict

# Texts, pictures, code and weights that nobody unpickles.
_LEFT_ALONE = re.compile(
    r"\.(avi|bib|c|cfg|cpp|css|csv|cu|gif|gitattributes|gitignore|gz|h|h5|html|ico|ini|ipynb|jpe?g|js|lock"
    r"|log|md|mkv|mov|mp4|onnx|parquet|pdf|png|py|pyc|rst|safetensors|sh|so|svg|tex|toml|tsv|txt|urdf"
    r"|webm|webp|whl|wav|xml)$|tfevents",
    re.IGNORECASE,
)
_NOT_FOLLOWED = frozenset({".git", ".hg", ".svn"})
_TELLING_NOTHING = frozenset({"", ".bin", ".dat", ".data", ".model", ".sb3", ".tar"})
_CHARGED = 1024**3  # of a larger file most is passed over
_MANY = 300  # files, from which on more processes are worth their start
_MOST_WORKERS = 8
_CHUNK = 20


@dataclass(frozen=True)
class Target:
    """A file that is to be scanned.

    Args:
        path: What it is called in the result.
        file: Where it lies on this machine.
        root: The folder that a link to it must not lead out of; None where the user named the file.
    """

    path: str
    file: Path
    root: Path | None = None


def targets(label: str, revision: str | None = None) -> Iterator[Target]:
    """Find the files to scan: the one that is named, those of a folder, or those of a Hub repository.

    Raises:
        UsageError: The path is absent.
        SourceUnreachable: The Hub does not have it, or cannot be reached.
    """
    path = Path(label).expanduser()
    if path.is_dir():
        yield from _in_folder(path)
    elif path.exists():
        yield Target(label, path)
    else:
        yield from _on_hub(label, revision)


def _in_folder(root: Path) -> Iterator[Target]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NOT_FOLLOWED)
        for name in sorted(files):
            path = Path(folder, name)
            if not _is_left_alone(name) and _is_of_interest(path):
                yield Target(str(path), path, root)


def _is_left_alone(name: str) -> bool:
    return _LEFT_ALONE.search(name) is not None and PICKLES.search(name.lower()) is None


def _is_of_interest(path: Path) -> bool:
    """Whether somebody unpickles a file, by its first bytes; what cannot be opened is told later."""
    try:
        with open_untrusted(path, charged=0) as file:
            return _may_be_loaded(file.read(HEAD), path.name)
    except UsageError:
        return True
    except NotPortable:  # a pipe or a device, or a link that leads nowhere
        return path.is_file()


def _may_be_loaded(head: bytes, name: str) -> bool:
    """Whether a file is of a kind that somebody loads, or has no suffix or one that tells nothing."""
    suffix = PurePosixPath(name).suffix.lower()
    return kind_of(head, name) is not Kind.OTHER or suffix in _TELLING_NOTHING


def _on_hub(label: str, revision: str | None) -> Iterator[Target]:
    from sb3port.readers.places import hub

    refuse_absent(label)
    place = read_location(label)
    repo = hub.list_repo(place.repo_id, place.revision or revision)
    wanted = [name for name in repo.names if not _is_left_alone(name)]
    if place.path:
        wanted = [name for name in repo.names if name == place.path or name.startswith(f"{place.path}/")]
    for name in wanted:
        is_named = name == place.path
        if is_named or _may_be_loaded(b"", name):  # a request for its first bytes takes as long as one for it
            folder = repo.fetch([name])
            yield Target(f"{place.repo_id}/{name}", folder / name, None if is_named else folder)


def scan(found: Iterable[Target]) -> Iterator[ScannedFile]:
    """Scan files in their order, each with a budget of its own; many of them in several processes.

    A file that cannot be read is told of in its result; nothing is raised for it.
    """
    targets = list(found)
    for target, file in zip(targets, _scanned(targets), strict=True):
        # Of a folder, what turned out to be nothing that anybody loads is not told of.
        if target.root is None or file.kind != Kind.OTHER or file.verdict is not Verdict.CLEAN:
            yield file


def _scanned(targets: list[Target]) -> Iterator[ScannedFile]:
    workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    if len(targets) < _MANY or workers == 1:
        yield from map(scan_file, targets)
        return
    # They begin anew: a fork of a process that has threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(scan_file, targets, chunksize=_CHUNK)


def scan_file(target: Target) -> ScannedFile:
    """Scan one file, with a budget of its own."""
    with budget(factor()):
        return _scan_file(target)


@metered
def _scan_file(target: Target) -> ScannedFile:
    contents, size = Contents(), 0
    try:
        with open_untrusted(target.file, target.path, target.root, _CHARGED) as file:
            size = os.fstat(file.fileno()).st_size
            contents.add(file, target.file.name)
    except Sb3portError as error:
        contents.unread.append(error.message)
    except OSError as error:
        contents.unread.append(f"{target.path} cannot be read: {error.strerror or error}")
    return ScannedFile(
        path=target.path,
        kind=contents.kind,
        size=size,
        findings=tuple(sorted(contents.findings)),
        unread=tuple(contents.unread),
        deceptive=contents.deceptive,
    )
