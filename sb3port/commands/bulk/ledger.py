"""The ledger: a file of lines, one for every attempt at every model, which only grows.

A line counts when it is whole; the last one of a process that was killed may not be, and is cut off. What a
folder has under that name may be anybody's: it is written to only when all of it is known to be of ours.
"""

import os
import stat
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from typing_extensions import Self

from sb3port.commands.bulk.line_schema import LONGEST, check_line, parse_line
from sb3port.commands.bulk.records import SCHEMA, VERSION, Record
from sb3port.errors import NotPortable, UsageError
from sb3port.files.texts.json_text import json_text

_BEGINS = json_text({"schema": SCHEMA}).text.rstrip("}").encode("ascii")
_HINT = "choose another folder with --out"


class Ledger:
    """The ledger of a folder, open for one process alone.

    Args:
        path: The file; it is made where there is none.

    Raises:
        UsageError: Another process has it open, it cannot be written, or it is something else, which stays as
            it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, "a+b")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
        _lock(self._file, path)
        self._end: int | None = None

    def records(self) -> Iterator[Record]:
        """Read the whole ledger.

        Raises:
            UsageError: A line in it is none of ours.
        """
        yield from _lines(self._file, self.path)
        self._end = self._file.tell()

    def _cut(self) -> None:
        """Cut off what is behind the last whole line, once all lines are known to be of ours."""
        if self._end is None:
            deque(self.records(), maxlen=0)
        if self._end != os.fstat(self._file.fileno()).st_size:
            self._file.truncate(self._end)

    def append(self, records: Sequence[Record]) -> None:
        """Write lines, and bring them to the disk."""
        if records:
            self._cut()
            self._file.write(b"".join(f"{json_text(record)}\n".encode("ascii") for record in records))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._end = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _lock(file: IO[bytes], path: Path) -> None:
    """Keep other processes from writing; the lock ends with this one, however it ends."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(
            f"another sb3port bulk works in {path.parent}", "wait for it, or choose another folder with --out"
        ) from None


def _open(path: Path, flags: int, mode: str) -> IO[bytes]:
    """Open a regular file of that very name: a link would lead to a file of somebody else.

    Raises:
        UsageError: It is something else.
        OSError: It cannot be opened.
    """
    if path.is_symlink():
        raise UsageError(f"{path} is a link, and a ledger is none", _HINT)
    more = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    opened = os.open(path, flags | more, 0o666)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise UsageError(f"{path} is not a regular file", _HINT)
    return os.fdopen(opened, mode)


def read_ledger(path: Path) -> Iterator[Record]:
    """Read a ledger, up to the last line that is whole.

    Raises:
        UsageError: It cannot be read, or a line in it is none of ours.
    """
    try:
        with _open(path, os.O_RDONLY, "rb") as file:
            yield from _lines(file, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _lines(file: IO[bytes], path: Path) -> Iterator[Record]:
    """Read all lines that are whole; the file stands behind the last one of them then.

    Raises:
        UsageError: One is none of ours, nor is what is left of one at the end the beginning of such a line.
    """
    number, end = 0, 0
    file.seek(0)
    while line := file.readline(LONGEST):
        number += 1
        if not line.endswith(b"\n"):
            torn = line.rstrip(b"\0")  # after a loss of power
            if len(line) == LONGEST or not (torn.startswith(_BEGINS) or _BEGINS.startswith(torn)):
                raise _no_record(number, path)
            break
        yield _record(line, number, path)
        end += len(line)
    file.seek(end)


def _record(line: bytes, number: int, path: Path) -> Record:
    try:
        value = parse_line(line, f"line {number} of {path}")
    except NotPortable as error:
        raise _no_record(number, path) from error
    if _is_newer(value):
        raise UsageError(f"line {number} of {path} was written by a newer sb3port", f"update it, or {_HINT}")
    try:
        check_line(value)
    except ValueError as misfit:
        raise _no_record(number, path, f": {misfit}") from misfit
    return dict(value)


def _is_newer(value: Any) -> bool:
    version = value.get("version") if isinstance(value, dict) and value.get("schema") == SCHEMA else None
    return isinstance(version, int) and version > VERSION


def _no_record(number: int, path: Path, why: str = "") -> UsageError:
    return UsageError(f"line {number} of {path} is no record of sb3port bulk{why}", _HINT)


def latest(records: Iterable[Record]) -> dict[str, Record]:
    """Give the last record of every model, in the order in which models were first tried."""
    found: dict[str, Record] = {}
    for record in records:
        found[record["model"]] = record
    return found
