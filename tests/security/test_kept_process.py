"""The process that is kept to read one owner's models: it may do no more than one for a single model."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.commands import sandboxed
from sb3port.commands.handed_back import Reading
from sb3port.commands.sandboxed import kept_readers, limits_for, read_guarded, seconds_of_readers
from sb3port.errors import NotPortable, Unsafe
from sb3port.files import kept_process
from sb3port.files.limited_process import can_limit
from sb3port.files.walls import missing_walls
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve
from tests.golden.test_sandbox import assert_same

pytestmark = pytest.mark.skipif(
    not can_limit() or bool(missing_walls()), reason="it is for a Linux that has all walls"
)
Plant = Callable[[Callable[[], Any]], None]


def of(folder: Path, owner: str = "org") -> Reading:
    """Give what reads a folder as if it were a repository of somebody's."""
    source = resolve(str(folder), SourceOptions())
    return Reading(replace(source, kind="hub", location=f"{owner}/m"))


@pytest.fixture
def reading(pendulum: Path) -> Reading:
    return of(pendulum)


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    with kept_readers():
        yield
    sandboxed._readers.end()


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Put a function in the place of the reader, in a process that is started after that."""

    def put(does: Callable[[], Any]) -> None:
        sandboxed._readers.end()
        monkeypatch.setattr(sandboxed, "read_checkpoint", lambda *_: does())

    return put


def test_one_process_for_each_owner(
    reading: Reading, pendulum: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: started.append(fork()) or started[-1])
    right = read_checkpoint(reading.source)
    assert_same(right, read_guarded(reading, None))
    assert_same(right, read_guarded(reading, None))
    assert len(started) == 1
    assert seconds_of_readers() > 0
    read_guarded(of(pendulum, "others"), None)
    assert len(started) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
    monkeypatch.setattr(sandboxed, "_MOST_READ", 1)
    read_guarded(of(pendulum, "others"), None)
    assert len(started) == 3


@pytest.mark.parametrize(
    "does",
    [
        lambda: Path(__file__).read_text(),
        lambda: os.listdir("/"),  # noqa: PTH208
        lambda: Path("/tmp/planted").write_text("x"),
        socket.socket,
        os.fork,
        lambda: threading.Thread(target=print).start(),
        lambda: os.kill(os.getppid(), signal.SIGTERM),
    ],
    ids=range(7),
)
def test_it_cannot_leave(
    does: Callable[[], Any], reading: Reading, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(does)
    with pytest.raises(Unsafe, match="tried"):
        read_guarded(reading, None)
    monkeypatch.undo()
    assert read_guarded(reading, None).tensors


def test_it_reads_what_it_is_handed_and_nothing_that_it_was(reading: Reading, plant: Plant) -> None:
    def look() -> None:
        opened = []
        for number in range(64):
            with suppress(OSError):
                os.fstat(number)
                opened.append(number)
        raise NotPortable(f"{len(opened)} open, {len(os.environ)} variables")

    plant(look)
    # The three streams, which lead nowhere, the connection, and the files.
    for _ in range(2):
        with pytest.raises(NotPortable, match=f"{4 + len(reading.paths)} open, 0 variables"):
            read_guarded(reading, None)


def _spin() -> None:
    while True:
        pass


def _spin_on() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    _spin()


@pytest.mark.parametrize(
    ("does", "limit", "message"),
    [
        (lambda: np.ones(4 << 30, np.uint8), {}, "more memory than"),
        (_spin, {"cpu": 1}, r"more CPU time than reading it is allowed \(1 s\)"),
        (_spin_on, {"cpu": 1}, r"more CPU time than reading it is allowed \(1 s\)"),
        (lambda: signal.sigwait([signal.SIGUSR1]), {"seconds": 0.2}, "more time than"),
        (lambda: os._exit(0), {}, "crashed"),
        (os.abort, {}, r"crashed \(SIGABRT\)"),
    ],
    ids=["memory", "cpu", "cpu, unheeded", "time", "silence", "crash"],
)
def test_it_is_as_limited_as_one_for_itself(
    does: Callable[[], Any], limit: dict[str, Any], message: str, reading: Reading, plant: Plant
) -> None:
    plant(does)
    limits = replace(limits_for(reading.paths), **limit)
    with pytest.raises(NotPortable, match=message):
        read_guarded(reading, None, limits)


def test_each_reading_has_its_own_limits(reading: Reading, plant: Plant) -> None:
    """What it may use is set by the process that it works for, before each; also more than for the last."""

    def grow() -> None:
        try:
            np.ones(256 << 20, np.uint8)
        except MemoryError:
            raise NotPortable("it has no room") from None
        raise NotPortable("it has room")

    plant(grow)
    limits = limits_for(reading.paths)
    for memory, found in ((64 << 20, "no room"), (1 << 30, "has room"), (64 << 20, "no room")):
        with pytest.raises(NotPortable, match=found):
            read_guarded(reading, None, replace(limits, memory=memory))


def test_too_long_an_answer_and_too_many_files(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotPortable, match="room"):
        read_guarded(reading, None, replace(limits_for(reading.paths), answer=1000))
    monkeypatch.setattr(kept_process, "_MOST_FILES", 0)
    assert read_guarded(reading, None).tensors  # by one for itself
    assert seconds_of_readers() == 0


def test_lies_are_refused(reading: Reading, plant: Plant) -> None:
    right = read_checkpoint(reading.source)
    wrong = {name: array[..., :0] for name, array in right.tensors.items()}
    plant(lambda: replace(right, tensors=wrong))
    with pytest.raises(Unsafe, match="handed back is not a checkpoint"):
        read_guarded(reading, None)
