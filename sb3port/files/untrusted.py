"""Opening the files of strangers: regular files only, never more of one than it says that it has.

A name may lead to a device without an end, to a pipe that nobody writes to, or through a link to a file that
is none of the stranger's business. What is read is charged to the budget before.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from sb3port.errors import NotPortable, Unsafe, UsageError
from sb3port.files.budget import Cost, spend

_CHUNK = 1024**2
_MAX_JSON = 16 * 1024**2  # that of an honest port has some kilobytes, of one with huge images some megabytes
_BYTES_PER_JSON_VALUE = 120  # a dictionary of one item takes twice that, and has three of the marks below


def open_untrusted(
    path: Path, where: str | None = None, within: Path | None = None, charged: int | None = None
) -> BinaryIO:
    """Open a file, and charge its size.

    Args:
        path: The file.
        where: What to call it in an error message; its path by default.
        within: The folder that links must not lead out of, None where the user named the file.
        charged: How much of it will be read, None for all.

    Raises:
        NotPortable: It is absent, no regular file, or larger than what is left of the budget.
        UsageError: The user may not read it.
        Unsafe: A link leads out of `within`.
    """
    where = where or str(path)
    if within is not None:
        refuse_outside(path, within, where)
    try:
        # Opening a pipe would wait for whoever writes to it.
        file = open(path, "rb", opener=_opener)  # noqa: SIM115 (Path.open has no opener)
    except PermissionError as error:
        raise UsageError(f"{where}: {_reason(error)}") from error
    except (OSError, ValueError) as error:
        raise NotPortable(f"{where} cannot be read: {_reason(error)}") from error
    try:
        _check(os.fstat(file.fileno()), where, charged)
    except BaseException:
        file.close()
        raise
    return file


def read_untrusted(
    path: Path, where: str | None = None, within: Path | None = None, at_most: int | None = None
) -> bytes:
    """Read a file whole, as `open_untrusted` opens it.

    Args:
        path: The file.
        where: What to call it in an error message.
        within: The folder that links must not lead out of.
        at_most: How many bytes such a file may have.

    Raises:
        NotPortable: As `open_untrusted`, or it is larger.
        Unsafe: As `open_untrusted`.
    """
    where = where or str(path)
    with open_untrusted(path, where, within) as file:
        size = os.fstat(file.fileno()).st_size
        if at_most is not None and size > at_most:
            raise NotPortable(f"{where} has {size:,} bytes, where {at_most:,} are more than enough")
        spend(Cost.MEMORY, size, where)
        return _read(file, size, where)


def sha256_of(path: Path, where: str | None = None, within: Path | None = None) -> str:
    """Give the SHA-256 of a file, never as a whole in memory; errors are those of `open_untrusted`."""
    with open_untrusted(path, where, within) as file:
        return measured(file, where or str(path))[1]


def measured(file: BinaryIO, where: str) -> tuple[int, str]:
    """Give the size and the SHA-256 of an open file, which stands at its beginning before and after.

    Raises:
        NotPortable: It cannot be read.
    """
    size, digest = os.fstat(file.fileno()).st_size, hashlib.sha256()
    left = size
    while block := _read(file, min(left, _CHUNK), where):
        digest.update(block)
        left -= len(block)
    file.seek(0)
    return size, digest.hexdigest()


def read_json(path: Path, where: str | None = None, within: Path | None = None) -> Any:
    """Read a JSON file.

    Raises:
        NotPortable: As `read_untrusted`, or it is not JSON.
        Unsafe: As `open_untrusted`.
    """
    return parse_json(read_untrusted(path, where, within, _MAX_JSON), where or str(path))


def parse_json(raw: bytes, where: str) -> Any:
    """Parse JSON.

    Raises:
        NotPortable: It is not JSON, or more than what is left of the budget.
    """
    charge_json(raw, where)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotPortable(f"{where} is damaged: it is not JSON ({_reason(error)})") from error


def charge_json(raw: bytes, where: str) -> None:
    """Charge what JSON may become, before it is parsed.

    Raises:
        NotPortable: It is more than what is left of the budget.
    """
    values = sum(raw.count(mark) for mark in (b",", b"[", b"{", b":"))
    spend(Cost.VALUES, values, where)
    # A single character beyond the others makes a text of four bytes each.
    spend(Cost.MEMORY, values * _BYTES_PER_JSON_VALUE + len(raw) * (1 if raw.isascii() else 5), where)


def refuse_outside(path: Path, folder: Path, where: str) -> None:
    """Refuse a path whose links lead out of a folder; those of the Hub's cache lead to `blobs` beside it.

    Raises:
        Unsafe: It leads elsewhere.
    """
    if _is_plainly_within(path, folder):
        return
    real, root = os.path.realpath(path), os.path.realpath(folder)
    if not any(_is_in(real, place) for place in (root, *_blobs(root))):
        raise Unsafe(
            f"{where} is a link that leads out of {folder}, so it is not read",
            "if you trust it, put the file itself there, or name it by its own path",
        )


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))  # noqa: PTH118


def _blobs(folder: str) -> Iterator[str]:
    """Give the folders of files of the Hub's cache of which this is a snapshot, or is in one."""
    parts = folder.split(os.sep)  # noqa: PTH206
    for place in range(1, len(parts) - 1):
        if parts[place] == "snapshots":
            yield os.sep.join((*parts[:place], "blobs"))  # noqa: PTH118


def _is_plainly_within(path: Path, folder: Path) -> bool:
    """Whether a path is that of a folder and of names in it, none of which is a link."""
    inside, root = str(path), str(folder)
    if not inside.startswith(f"{root}{os.sep}"):
        return False
    place, names = root, inside[len(root) + 1 :].split(os.sep)  # noqa: PTH206
    for name in names:
        place = f"{place}{os.sep}{name}"
        try:
            if name in ("", ".", "..") or stat.S_ISLNK(os.lstat(place).st_mode):
                return False
        except (OSError, ValueError):
            return False
    return True


@contextmanager
def handed(files: Mapping[str, int]) -> Iterator[None]:
    """Let files that are open already be read in this block in place of those of their paths."""
    token = _handed.set(files)
    try:
        yield
    finally:
        _handed.reset(token)


_handed: ContextVar[Mapping[str, int]] = ContextVar("handed", default=MappingProxyType({}))


def _opener(path: str, flags: int) -> int:
    if (file := _handed.get().get(os.fspath(path))) is not None:
        os.lseek(file, 0, os.SEEK_SET)
        return os.dup(file)
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _check(status: os.stat_result, where: str, charged: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotPortable(f"{where} is not a regular file, so it is not read")
    spend(Cost.BYTES, status.st_size if charged is None else min(charged, status.st_size), where)


def _read(file: BinaryIO, size: int, where: str) -> bytes:
    try:
        return file.read(size)
    except (OSError, ValueError) as error:
        raise NotPortable(f"{where} cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)[:200]
