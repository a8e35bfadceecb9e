"""Folders and files that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sb3port.errors import UsageError


@dataclass(frozen=True)
class Kind:
    """A kind of folder: its name in a sentence, and the file by which it is known."""

    name: str
    mark: str


PORT = Kind("a port", "sb3port.json")
DATASET = Kind("a LeRobotDataset", "meta/info.json")
EXPORT = Kind("an export", "export.json")
CHECKPOINT = Kind("a checkpoint of a training", "training_state/training.json")


@contextmanager
def staged_folder(dest: Path, force: bool = False, kind: Kind = PORT) -> Iterator[Path]:
    """Give a temporary folder beside `dest` that takes its place when the block ends without an error.

    Args:
        dest: Where the folder shall be; its parents are made.
        force: Replace what lies there, if it is of the same kind.
        kind: What the folder will be.

    Raises:
        UsageError: `dest` exists and `force` is false, or the place cannot be written.
    """
    refuse_existing(dest, force, kind)
    with _staging(dest) as staging:
        yield staging
        _replace(staging, dest)


@contextmanager
def staged_file(dest: Path, force: bool = False) -> Iterator[Path]:
    """Give the path of a temporary file beside `dest`, which takes its place as a staged folder does.

    Raises:
        UsageError: `dest` exists and `force` is false, or is no file, or the place cannot be written.
    """
    refuse_existing_file(dest, force)
    with _staging(dest) as staging:
        yield staging / dest.name
        (staging / dest.name).replace(dest)


def refuse_existing(dest: Path, force: bool, kind: Kind = PORT) -> None:
    """Refuse a destination that exists, unless it is of that kind or an empty folder, and may be replaced.

    Raises:
        UsageError: It exists and `force` is false, or it is something that must not be replaced.
    """
    if not _is_taken(dest, force):
        return
    replaceable = dest.is_dir() and (not any(dest.iterdir()) or (dest / kind.mark).is_file())
    if not replaceable or dest.is_symlink():
        raise UsageError(f"{dest} is not {kind.name}, so --force does not replace it", "choose another place")


def refuse_existing_file(dest: Path, force: bool) -> None:
    """Refuse a destination that exists, unless it is a file that may be replaced.

    Raises:
        UsageError: It exists and `force` is false, or it is no file.
    """
    if _is_taken(dest, force) and (dest.is_symlink() or not dest.is_file()):
        raise UsageError(f"{dest} is not a file, so --force does not replace it", "choose another place")


def _is_taken(dest: Path, force: bool) -> bool:
    if not dest.exists() and not dest.is_symlink():
        return False
    if not force:
        raise UsageError(f"{dest} exists", "choose another place, or replace it with --force")
    return True


@contextmanager
def _staging(dest: Path) -> Iterator[Path]:
    """Give a temporary folder beside `dest`, whose parents are made; what is left of it is removed."""
    made = [parent for parent in dest.parents if not parent.exists()]
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{dest.name}-", dir=dest.parent))
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {error.filename}: {error.strerror}") from error
    staging.chmod(0o755)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)


def _replace(staging: Path, dest: Path) -> None:
    """Move the new folder into place; the old one is gone only when the new one is there."""
    if not dest.exists():
        staging.rename(dest)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{dest.name}-old-", dir=dest.parent)) / dest.name
    try:
        dest.rename(old)
        staging.rename(dest)
    except BaseException:  # also a signal between the two
        if old.exists() and not dest.exists():
            old.rename(dest)
        _remove_empty([old.parent])
        raise
    shutil.rmtree(old.parent, ignore_errors=True)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that hold nothing, innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
