"""A process with limits that does one thing after another, for things that nobody has to keep apart.

To fork a process for each file takes longer than to read the file. One that is kept can open no file at all:
it is handed those that it is to read, open already. What it may use is set anew for each, by the process
that it works for; it cannot change it itself.
"""

import os
import signal
import socket
import time
import warnings
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeAlias

from sb3port.files.limited_process import (
    DONE,
    FAILED,
    MEMORY,
    Ended,
    Limits,
    Why,
    answer_of,
    can_limit,
    leave,
    limit_others,
    traceback_text,
)
from sb3port.files.walls import forbid, missing_walls

KeptWork: TypeAlias = Callable[[bytes, Sequence[int]], Iterable[bytes]]
"""Given a message and open files, gives the parts of an answer."""

_MOST_FILES = 16
_MOST_MESSAGE = 1 << 20
_CHUNK = 1 << 20
_LENGTH = 8
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 1.0


def can_keep(files: Sequence[Path]) -> bool:
    """Whether such a process can be had for so many files: one has to have all its walls."""
    return can_limit() and not missing_walls() and len(files) <= _MOST_FILES


class KeptProcess:
    """A process that waits for things to do.

    Args:
        work: What it does; whatever that needs must be imported already.
    """

    def __init__(self, work: KeptWork) -> None:
        parent = os.getpid()
        self._socket, other = socket.socketpair()
        with warnings.catch_warnings():
            # Python warns of forks beside threads. What runs there waits for none, and is killed if it did.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _run(work, other.detach(), parent)
        other.close()
        self.done = 0
        self._alive = True

    @property
    def seconds(self) -> float:
        """How many seconds it has computed; after its end they are among those of children."""
        return time.clock_gettime(((~self.pid) << 3) | 2) if self._alive else 0.0

    def run(self, message: bytes, files: Sequence[Path], limits: Limits) -> bytes:
        """Let it do something.

        Args:
            message: What, as its work understands it.
            files: What it may read, opened here; those that are not there are left out.
            limits: What it may use for this.

        Returns:
            What it gave. It is done with after any error.

        Raises:
            Ended: It gave nothing.
        """
        try:
            end = self.seconds + limits.cpu
            _allow(self.pid, end, limits.memory)
            _hand_over(self._socket, message, files)
            said, why = self._listen(limits, end)
        except OSError:
            said, why = bytearray(), None
        except BaseException:
            self.close()
            raise
        self.done += 1
        if why is None and said[:1] == DONE:
            return bytes(memoryview(said)[1:])
        status = self.close(kill=why is not None or bool(said))
        if why is not None:
            raise Ended(why)
        return answer_of(said, status if not said else 0)

    def close(self, kill: bool = True) -> int:
        """End it, and give how it ended."""
        if not self._alive:
            return 0
        self._alive = False
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        self._socket.close()
        return os.waitpid(self.pid, 0)[1]

    def _listen(self, limits: Limits, cpu: float) -> tuple[bytearray, Why | None]:
        """Take what it says until that is whole; nothing where it ends, or says or takes too much."""
        said, end = bytearray(), time.monotonic() + limits.seconds
        length = 0
        self._socket.settimeout(_LOOK_SECONDS)
        while len(said) < _LENGTH + length or not length:
            if time.monotonic() > end:
                return bytearray(), Why.TIME
            try:
                chunk = self._socket.recv(_CHUNK)
            except TimeoutError:
                if self.seconds > cpu + _GRACE_SECONDS:  # it does not heed the signal
                    return bytearray(), Why.CPU
                continue
            if not chunk:
                return bytearray(), None
            said += chunk
            if not length and len(said) >= _LENGTH:
                length = int.from_bytes(said[:_LENGTH], "little")
                if not 0 < length <= limits.answer + 1:
                    return bytearray(), Why.ANSWER
        return said[_LENGTH:], None if len(said) == _LENGTH + length else Why.CRASHED


def _allow(pid: int, seconds: float, memory: int) -> None:
    """Set what a process may use from now on, which it cannot do itself."""
    import resource  # which Windows has not

    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0]
    for what, most in (
        (resource.RLIMIT_AS, int(pages) * resource.getpagesize() + memory),
        (resource.RLIMIT_CPU, int(seconds) + 1),
    ):
        hard = resource.prlimit(pid, what)[1]
        resource.prlimit(pid, what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _hand_over(connection: socket.socket, message: bytes, files: Sequence[Path]) -> None:
    connection.settimeout(None)
    opened: list[int] = []
    try:
        places = []
        for place, path in enumerate(files):
            with suppress(OSError):  # it will find nothing there either
                opened.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
                places.append(place)
        head = bytes([len(places), *places]) + len(message).to_bytes(_LENGTH, "little")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", opened))] if opened else []
        connection.sendmsg([head], rights)
        connection.sendall(message)
    finally:
        for file in opened:
            os.close(file)


def _run(work: KeptWork, descriptor: int, parent: int) -> NoReturn:
    """Be the other process, which never returns to what this one was doing."""
    try:
        leave(descriptor, parent)
        limit_others()
        forbid(())
        connection = socket.socket(fileno=descriptor)
        while True:
            message, files = _take(connection)
            said = _answered(work, message, files)
            connection.sendall(sum(map(len, said)).to_bytes(_LENGTH, "little"))
            for part in said:
                connection.sendall(part)
            if said[0] != DONE:
                break
    finally:
        os._exit(1)


def _answered(work: KeptWork, message: bytes, files: list[int]) -> list[bytes]:
    try:
        return [DONE, *work(message, files)]
    except MemoryError:
        return [MEMORY]
    except BaseException:
        return [FAILED, traceback_text()]
    finally:
        for file in files:
            if file >= 0:
                os.close(file)


def _take(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Take a message, and the files that come with it, by their places; -1 for those that are not there."""
    head, opened, _, _ = socket.recv_fds(connection, 1 + _MOST_FILES + _LENGTH, _MOST_FILES)
    if not head:
        os._exit(0)  # nobody wants anything any more
    count = head[0]
    files = [-1] * _MOST_FILES
    for place, file in zip(head[1 : 1 + count], opened, strict=True):
        files[place] = file
    left = head[1 + count :]
    message = bytearray(left[_LENGTH:])
    length = int.from_bytes(left[:_LENGTH], "little")
    while len(message) < length:
        message += connection.recv(length - len(message))
    return bytes(message), files
