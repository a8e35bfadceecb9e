"""The ledger: a file of lines, one for every attempt at every model, which only grows.

A line counts when it is whole; the last one of a process that was killed may not be, and is cut off.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from typing_extensions import Self

from sb3port.commands.bulk.records import Record, is_record
from sb3port.errors import UsageError
from sb3port.files.texts.json_text import json_text

_LONGEST = 1 << 20  # of a line


class Ledger:
    """The ledger of a folder, open for one process alone.

    Args:
        path: The file; it is made where there is none.

    Raises:
        UsageError: Another process has it open, it cannot be written, or it is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = path.open("a+b")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
        _lock(self._file, path)
        self._cut()

    def _cut(self) -> None:
        """Cut off what is behind the last whole line."""
        self._file.seek(0, os.SEEK_END)
        size = self._file.tell()
        self._file.seek(max(0, size - _LONGEST))
        tail = self._file.read()
        if not tail.endswith(b"\n") and size:
            self._file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)

    def records(self) -> Iterator[Record]:
        """Read the whole ledger.

        Raises:
            UsageError: A line in it is none of ours.
        """
        yield from read_ledger(self.path)

    def append(self, records: Sequence[Record]) -> None:
        """Write lines, and bring them to the disk."""
        if records:
            self._file.write(b"".join(f"{json_text(record)}\n".encode("ascii") for record in records))
            self._file.flush()
            os.fsync(self._file.fileno())

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


def read_ledger(path: Path) -> Iterator[Record]:
    """Read a ledger, up to the last line that is whole.

    Raises:
        UsageError: It cannot be read, or a line in it is none of ours.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _record(line, f"line {number} of {path}")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _record(line: bytes, where: str) -> Record:
    try:
        value: Any = json.loads(line)
    except ValueError:
        value = None
    if not is_record(value):
        raise UsageError(f"{where} is no record of sb3port bulk", "choose another folder with --out")
    return dict(value)


def latest(records: Iterable[Record]) -> dict[str, Record]:
    """Give the last record of every model, in the order in which models were first tried."""
    found: dict[str, Record] = {}
    for record in records:
        found[record["model"]] = record
    return found
