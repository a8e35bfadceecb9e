"""Renames that never replace what they should not, and never leave a name without a file.

Linux and macOS have system calls for both; elsewhere the portable way has a gap of microseconds.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2  # <linux/fs.h>
_RENAME_SWAP, _RENAME_EXCL = 2, 4  # <sys/stdio.h> of macOS
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def rename_new(source: Path, dest: Path) -> None:
    """Rename a file or a folder to a name that nothing has.

    Raises:
        FileExistsError: Something is there.
        OSError: It cannot be renamed.
    """
    if _call(source, dest, _NOREPLACE, _RENAME_EXCL):
        return
    if os.path.lexists(dest):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(dest))
    source.rename(dest)


def exchange(source: Path, dest: Path) -> None:
    """Let two files or folders have each other's names; both are there at any moment, where the system can.

    Raises:
        OSError: One is absent, or they cannot be renamed.
    """
    if _call(source, dest, _EXCHANGE, _RENAME_SWAP):
        return
    aside = source.with_name(f"{source.name}-aside")
    dest.rename(aside)
    try:
        source.rename(dest)
    except BaseException:  # also a signal between the two
        if not os.path.lexists(dest):
            aside.rename(dest)
        raise
    aside.rename(source)


def flush(path: Path) -> None:
    """Bring a file, or all of a folder, to the disk: after a loss of power it is there as it is now."""
    if _later.get():
        return
    if path.is_dir():
        for folder, _, names in os.walk(path, topdown=False):
            for name in names:
                _fsync(Path(folder, name))
            _fsync(Path(folder))
    else:
        _fsync(path)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, but nothing of what has these names."""
    if not _later.get():
        _fsync(folder)


@contextmanager
def flushed_later() -> Iterator[None]:
    """Leave it to others to bring to the disk what is written in this block, all at once: see `flush_all`."""
    token = _later.set(True)
    try:
        yield
    finally:
        _later.reset(token)


def flush_all(folder: Path) -> None:
    """Bring everything on the file system of a folder to the disk."""
    library = ctypes.CDLL(None, use_errno=True) if platform.system() == "Linux" else None
    if library is None:
        if hasattr(os, "sync"):
            os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        library.syncfs(descriptor)
    finally:
        os.close(descriptor)


_later: ContextVar[bool] = ContextVar("later", default=False)


def _fsync(path: Path) -> None:
    if path.is_symlink() or (path.is_dir() and os.name == "nt"):  # there a folder cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that have no such thing
            raise
    finally:
        os.close(descriptor)


def _call(source: Path, dest: Path, linux: int, macos: int) -> bool:
    """Rename by the system's own call; False where there is none, or the file system does not have it."""
    function = _system_call()
    if function is None:
        return False
    flags = linux if platform.system() == "Linux" else macos
    if function(os.fsencode(source), os.fsencode(dest), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(dest))


@cache
def _system_call() -> Callable[[bytes, bytes, int], int] | None:
    system = platform.system()
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if system == "Linux":
            renameat2 = library.renameat2
            return lambda source, dest, flags: int(renameat2(_AT_FDCWD, source, _AT_FDCWD, dest, flags))
        if system == "Darwin":
            renamex_np = library.renamex_np
            return lambda source, dest, flags: int(renamex_np(source, dest, flags))
    except (OSError, AttributeError, TypeError):  # an older library, or Windows
        pass
    return None
