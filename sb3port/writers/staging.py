"""Folders that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sb3port.errors import UsageError


@contextmanager
def staged_folder(dest: Path, force: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `dest` that takes its place when the block ends without an error.

    Args:
        dest: Where the folder shall be; its parents are made.
        force: Replace what lies there.

    Raises:
        UsageError: `dest` exists and `force` is false, or the place cannot be written.
    """
    refuse_existing(dest, force)
    made = [parent for parent in dest.parents if not parent.exists()]
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{dest.name}-", dir=dest.parent))
    except OSError as error:
        raise UsageError(f"{dest} cannot be written: {error.filename}: {error.strerror}") from error
    staging.chmod(0o755)
    try:
        yield staging
        _replace(staging, dest)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)


def refuse_existing(dest: Path, force: bool) -> None:
    """Refuse a destination that exists, unless it is a port or an empty folder that may be replaced.

    Raises:
        UsageError: It exists and `force` is false, or it is something that no port can replace.
    """
    if not dest.exists() and not dest.is_symlink():
        return
    if not force:
        raise UsageError(f"{dest} exists", "choose another place, or replace it with --force")
    replaceable = dest.is_dir() and (not any(dest.iterdir()) or (dest / "sb3port.json").is_file())
    if not replaceable or dest.is_symlink():
        raise UsageError(f"{dest} is not a port, so --force does not replace it", "choose another place")


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
