"""The files of a source, wherever it is: what they are called, what is in a part of one, and how to get them.

A folder of this machine and a repository on the Hub are the same to those who choose among their files.
"""

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol

from sb3port.errors import NotPortable, UsageError
from sb3port.files.budget import Cost, spend
from sb3port.files.untrusted import open_untrusted
from sb3port.readers.places.layouts import Candidate, parent
from sb3port.readers.places.nearby import DOWN, UP, is_part_of_training

# What a folder has in it that holds packages, and no checkpoints.
_PACKAGES = frozenset({"pyvenv.cfg", "conda-meta"})
_NOT_FOLLOWED = frozenset({"node_modules", "__pycache__"})
_REPOSITORY = (".git", ".hg")
_MAX_NEAR = 50_000  # entries around a checkpoint; what lies beyond is not seen


class Files(Protocol):
    """The files of a folder or repository."""

    @property
    def origin(self) -> Sequence[str]:
        """The names of the folders that lead to it, its own the last."""

    @property
    def names(self) -> Sequence[str]:
        """Every file as a POSIX path, sorted."""

    def head(self, name: str, size: int) -> bytes:
        """Give the first bytes of a file."""

    def tail(self, name: str, size: int) -> bytes:
        """Give the last bytes of a file."""

    def fetch(self, names: Collection[str]) -> Path:
        """Bring some files here, and give the folder that holds them under their names."""


@dataclass(frozen=True)
class LocalFiles:
    """The files of a folder on this machine.

    Args:
        root: The folder.
        names: Every file as a POSIX path, sorted; those around a checkpoint may begin with `..`.
        links: Links to folders, which are not followed: those within are there by their own names.
    """

    root: Path
    names: Sequence[str]
    links: Sequence[str] = ()

    @property
    def origin(self) -> Sequence[str]:
        """The names of the folders that lead to it, links to it resolved."""
        return Path(os.path.realpath(self.root)).parts

    def head(self, name: str, size: int) -> bytes:
        """Give the first bytes of a file."""
        return self._part(name, size, from_end=False)

    def tail(self, name: str, size: int) -> bytes:
        """Give the last bytes of a file."""
        return self._part(name, size, from_end=True)

    def _part(self, name: str, size: int, from_end: bool) -> bytes:
        try:
            with open_untrusted(self.root / name, name, within(self.root, name), size) as file:
                if from_end:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read(size)
        except (NotPortable, UsageError):  # what cannot be read is nothing that is looked for
            return b""

    def fetch(self, names: Collection[str]) -> Path:  # noqa: ARG002 (nothing is to be done)
        """Give the folder: they are here."""
        return self.root


def within(root: Path, name: str) -> Path:
    """Give the folder that no link to a file may lead out of: the source, or the one that `..` leads to."""
    leading = [part for part in PurePosixPath(name).parts if part == ".."]
    return root.joinpath(*leading)


def list_folder(root: Path) -> LocalFiles:
    """List the files of a folder: hidden folders hold no checkpoints, nor do those of Python's packages.

    Raises:
        NotPortable: There are more than what is left of the budget.
    """
    names: list[str] = []
    links: list[str] = []
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        spend(Cost.FILES, len(files) + len(folders), str(root))
        if inside.parts and not _PACKAGES.isdisjoint((*files, *folders)):
            folders.clear()
            continue
        links.extend((inside / name).as_posix() for name in folders if Path(folder, name).is_symlink())
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_FOLLOWED]
        names.extend((inside / name).as_posix() for name in files if not name.startswith("."))
    return LocalFiles(root, sorted(name for name in names if (root / name).is_file()), sorted(links))


def surroundings(root: Path, checkpoint: Candidate) -> LocalFiles:
    """List the files around a checkpoint of a source, among which its statistics and settings may be."""
    return LocalFiles(root, sorted(set(_Surroundings(root).names(checkpoint.folder))))


@dataclass(frozen=True)
class _Listing:
    """What is in a folder, but for what is hidden.

    Args:
        files: Names of files, also by links.
        folders: Names of folders, sorted, not by links.
        count: Of all that was looked at.
    """

    files: Sequence[str] = ()
    folders: Sequence[str] = ()
    count: int = 0

    @cached_property
    def of_training(self) -> list[str]:
        """The folders whose names tell no model."""
        return list(filter(is_part_of_training, self.folders))


_remembered: ContextVar[dict[tuple[int, ...], _Listing] | None] = ContextVar("remembered", default=None)
_lists: dict[tuple[int, ...], _Listing] = {}
_MOST_REMEMBERED = 64
_LARGE = 200  # entries, from which on a list is worth remembering


@contextmanager
def remembered_folders() -> Iterator[None]:
    """Remember in this block, and from one to the next, what is in large folders, until they change.

    The same thousands of entries lie around each of thousands of checkpoints.
    """
    token = _remembered.set(_lists)
    try:
        yield
    finally:
        _remembered.reset(token)


def _list(folder: Path, most: int) -> _Listing:
    """List a folder, up to so many entries."""
    lists = _remembered.get()
    try:
        if lists is None:
            return _look(folder, most)
        state = folder.stat()
        key = (state.st_dev, state.st_ino, state.st_mtime_ns)
        if key in lists and lists[key].count < most:
            return lists[key]
        listing = _look(folder, most)
    except OSError:
        return _Listing()
    if _LARGE <= listing.count < most:
        if len(lists) >= _MOST_REMEMBERED:
            lists.clear()
        lists[key] = listing
    return listing


def _look(folder: Path, most: int) -> _Listing:
    files: list[str] = []
    folders: list[str] = []
    count = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if count >= most:
                break
            count += 1
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_file():
                files.append(entry.name)
    return _Listing(files, sorted(folders), count)


class _Surroundings:
    """Lists files around a checkpoint: up to so many, never a whole tree, and without refusing anything.

    Args:
        root: The source, which names are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.origin = Path(os.path.realpath(root)).parts
        self.left = _MAX_NEAR

    def names(self, folder: PurePosixPath) -> list[str]:
        """List the files of a folder, and those near it."""
        found = [*self._below(folder, DOWN)]
        for above in self._above(folder):
            files, listing = self._scan(above)
            found += files
            for inside in listing.of_training:  # of what may be thousands, a few
                place = self._named(above / inside)
                if place.name not in ("", ".."):  # one that leads to the source has been listed
                    found += self._below(place, DOWN - 1)
        return found

    def _below(self, folder: PurePosixPath, depth: int) -> Iterator[str]:
        level = [folder]
        for left in reversed(range(depth + 1)):
            deeper: list[PurePosixPath] = []
            for place in level:
                files, listing = self._scan(place)
                yield from files
                if left:  # of what may be thousands, nobody looks into any
                    deeper += [self._named(place / inside) for inside in listing.folders]
            level = deeper

    def _scan(self, folder: PurePosixPath) -> "tuple[list[str], _Listing]":
        """List paths of files and names of folders; a folder that cannot be looked into has none."""
        start = "" if folder == PurePosixPath() else f"{folder}/"
        listing = _list(self.root / folder, self.left)
        self.left -= listing.count
        return [start + name for name in listing.files], listing

    def _named(self, folder: PurePosixPath) -> PurePosixPath:
        """Give a folder that leads to the source, and was come to from above, the name that it has else."""
        up = sum(part == ".." for part in folder.parts)
        rest = folder.parts[up:]
        while up and rest and rest[0] == self.origin[-up]:
            up, rest = up - 1, rest[1:]
        return PurePosixPath(*[".."] * up, *rest)

    def _above(self, folder: PurePosixPath) -> Iterator[PurePosixPath]:
        """Give the folders above one that may be of the same work, the nearest first."""
        root = str(self.root)
        for _ in range(UP):
            place = os.path.join(root, str(folder))  # noqa: PTH118 (for thousands, Path takes too long)
            if any(os.path.exists(f"{place}{os.sep}{mark}") for mark in _REPOSITORY):  # noqa: PTH110
                return
            folder = parent(folder)
            if _is_of_many(self._real(folder)):
                return
            yield folder

    def _real(self, folder: PurePosixPath) -> str:
        """Resolve a folder; most times one above the source, of which that is known."""
        up = len(folder.parts)
        if folder.parts == ("..",) * up and up < len(self.origin):
            return os.path.join(*self.origin[: len(self.origin) - up])  # noqa: PTH118
        return os.path.realpath(self.root / folder)


def _is_of_many(folder: str) -> bool:
    """Whether a folder is a home, holds one, or is for everyone to write to, as `/tmp` is."""
    home = _real(os.path.expanduser("~"))  # noqa: PTH111 (Path.home raises without a home)
    if home == folder or home.startswith(os.path.join(folder, "")) or folder == os.path.dirname(folder):  # noqa: PTH118, PTH120
        return True
    try:
        mode = os.stat(folder).st_mode  # noqa: PTH116
    except OSError:
        return True
    return bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)


_real = lru_cache(maxsize=16)(os.path.realpath)
