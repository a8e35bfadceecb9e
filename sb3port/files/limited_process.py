"""A function in a process of its own, which may use only so much, read certain files, and give bytes back.

The process is a fork of this one, so that nothing is imported again; it has one thread, and may need no
other. It can write to no file, and keeps within its limits. Files that it has no business with, the network
and other processes are closed to it where the kernel has Landlock and seccomp; see `walls.missing_walls`.
"""

import gc
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NoReturn, TypeAlias

from sb3port.files.walls import die_with_parent, forbid

Work: TypeAlias = Callable[[], Iterable[bytes]]

DONE, MEMORY, FAILED = b"=", b"m", b"!"
_CHUNK = 1 << 20
_LONGEST = 8000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Limits:
    """What a process may use.

    Args:
        memory: Bytes of address space, beside what this process has already.
        cpu: Seconds of computing.
        seconds: Seconds by the clock.
        answer: Bytes that it may give back.
    """

    memory: int
    cpu: int
    seconds: float
    answer: int


class Why(Enum):
    """Why a process gave no answer."""

    MEMORY = "memory"
    CPU = "CPU time"
    TIME = "time"
    ANSWER = "answer"
    FORBIDDEN = "forbidden"
    """It used a system call that is forbidden to it."""
    CRASHED = "crashed"
    """By a signal, which the detail names, or without saying why."""
    FAILED = "failed"
    """An exception that nobody expected: the detail is the traceback."""


class Ended(Exception):
    """A process ended without an answer.

    Args:
        why: The limit, or what else it was.
        detail: More of it, as text that the process may have written.
    """

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why.value}: {detail}")
        self.why = why
        self.detail = detail


def can_limit() -> bool:
    """Whether this system can do it: Linux, whose limits are meant here."""
    return sys.platform == "linux" and hasattr(os, "fork")


def run_limited(work: Work, readable: Sequence[Path], limits: Limits) -> bytes:
    """Run a function in a process with limits.

    Args:
        work: What to run; whatever it needs must be imported already.
        readable: The only files that it may open.
        limits: What it may use.

    Returns:
        What it gave.

    Raises:
        Ended: It gave nothing.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python warns of forks beside threads. What runs there waits for none, and is killed if it did.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        _run(work, writing, (parent, readable, limits))
    try:
        os.close(writing)
        answer, reason = _listen(reading, limits)
    finally:  # also by Ctrl-C
        os.close(reading)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if reason is not None:
        raise Ended(reason)
    return answer_of(answer, status)


def _listen(pipe: int, limits: Limits) -> tuple[bytearray, Why | None]:
    """Take what the process says until it ends, or says too much, or takes too long."""
    answer, end = bytearray(), time.monotonic() + limits.seconds
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while (left := end - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            chunk = os.read(pipe, _CHUNK)
            if not chunk:
                return answer, None
            answer += chunk
            if len(answer) > limits.answer + 1:
                return answer, Why.ANSWER
    return answer, Why.TIME


def answer_of(answer: bytearray, status: int) -> bytes:
    """Tell an answer from none; one that has not ended of itself has given none, whatever it has said.

    Args:
        answer: What a process has said.
        status: How it has ended, as `os.waitpid` says it.

    Raises:
        Ended: It is none.
    """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        known: dict[int, Why] = {signal.SIGXCPU: Why.CPU, signal.SIGSYS: Why.FORBIDDEN}
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        raise Ended(known.get(number, Why.CRASHED), name)
    kind, said = bytes(answer[:1]), memoryview(answer)[1:]
    if status == 0 and kind == DONE:
        return bytes(said)
    if kind == MEMORY:
        raise Ended(Why.MEMORY)
    if kind == FAILED:
        raise Ended(Why.FAILED, bytes(said[: _LONGEST * 4]).decode("utf-8", "replace"))
    raise Ended(Why.CRASHED, "without a word")


def _run(work: Work, pipe: int, bounds: tuple[int, Sequence[Path], Limits]) -> NoReturn:
    """Be the other process, which never returns to what this one was doing."""
    code = 1
    try:
        parent, readable, limits = bounds
        leave(pipe, parent)
        _limit(limits)
        forbid(readable)
        for part in (DONE, *work()):
            _say(pipe, part)
        code = 0
    except MemoryError:
        _say(pipe, MEMORY)
    except BaseException:
        _say(pipe, FAILED + traceback_text())
    finally:
        os._exit(code)


def traceback_text() -> bytes:
    """Give the end of the traceback of the exception that is being handled."""
    return traceback.format_exc()[-_LONGEST:].encode("utf-8", "replace")


def leave(pipe: int, parent: int) -> None:
    """Let go of what belongs to the process that this one was: signals, files, variables, garbage."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(parent)
    os.environ.clear()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) != pipe:
            with suppress(OSError):  # that of the listing itself
                os.close(int(name))
    gc.freeze()


def _limit(limits: Limits) -> None:
    import resource  # which Windows has not; no file is closed to this process yet

    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _set_limits({resource.RLIMIT_AS: used + limits.memory, resource.RLIMIT_CPU: limits.cpu})
    limit_others()


def limit_others() -> None:
    """Let this process write nothing, start nothing and hold few files, whatever its memory and its time."""
    import resource

    _set_limits(
        {
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_NOFILE: 64,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_NPROC: 0,  # root may fork all the same, where there is no seccomp
        }
    )


def _set_limits(limits: Mapping[int, int]) -> None:
    import resource

    for what, most in limits.items():
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # What does not heed the signal of the first limit is killed at the second.
        second = least + 1 if what == resource.RLIMIT_CPU and least != hard else least
        resource.setrlimit(what, (least, second))


def _say(pipe: int, what: bytes) -> None:
    rest = memoryview(what)
    while rest:
        rest = rest[os.write(pipe, rest) :]
