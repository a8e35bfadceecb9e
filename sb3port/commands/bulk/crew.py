"""The workers of this machine: long-lived processes, each of which a crash or a hang costs one model only.

They are forked from a process that has imported what they need, so that a new one is there at once. Where
models are on the Hub, other processes fetch the next ones meanwhile, several at a time.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import Any

from sb3port.commands.bulk.job import Action, Job, Task
from sb3port.commands.bulk.records import Reason, Record, failed, new_record
from sb3port.commands.bulk.worker import receive, send, serve
from sb3port.errors import Sb3portError

_AHEAD = 2
"""How many tasks a worker has: the one that it does, and the next, so that it need not wait for us."""
_DOWNLOADS = 8
"""How many downloads a process has at a time: most of their time they wait."""
_STARTING_SECONDS = 300.0
_TASKS = 2000
"""After how many tasks a worker is replaced, whatever it may have gathered."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Bounds:
    """What workers may use.

    Args:
        jobs: How many there are.
        timeout: How many seconds one attempt may take, and one download.
        memory: How many bytes each may use.
    """

    jobs: int
    timeout: float = 600.0
    memory: int = 4 << 30


@dataclass
class _Given:
    """A task that a worker has."""

    task: Task
    since: float
    blob: bytes = b""
    fetched: list[float] | None = None


@dataclass(eq=False)
class _Worker:
    """One worker.

    Args:
        process: The process.
        connection: To it.
        fetches: Whether it fetches files, several at a time, and does nothing else.
    """

    process: Any
    connection: Connection
    fetches: bool
    given: deque[_Given] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)
    ready: bool = False
    retiring: bool = False
    done: int = 0

    @property
    def room(self) -> int:
        """How many more tasks it takes."""
        if self.retiring:
            return 0
        return (_DOWNLOADS if self.fetches else _AHEAD) - len(self.given)

    @property
    def running(self) -> list[_Given]:
        """What it is doing now."""
        return list(self.given) if self.fetches else list(self.given)[:1]


class Crew:
    """Workers, and what they are to do.

    Args:
        job: What is done with every model.
        bounds: What they may use.
        fetches: Whether files have to be fetched.
    """

    def __init__(self, job: Job, bounds: Bounds, fetches: bool) -> None:
        self.job, self.bounds = job, bounds
        self._context = _context(job)
        self._to_find: deque[Task] = deque()
        self._to_do: deque[_Given] = deque()
        self._ended: list[tuple[Task, Record]] = []
        self._suspects: dict[str, int] = {}
        # What is scanned is fetched file by file, as it is scanned.
        self._fetchers = (bounds.jobs + 1) // 2 if fetches and job.action is not Action.SCAN else 0
        self._workers: list[_Worker] = []
        for number in range(bounds.jobs + self._fetchers):
            self._workers.append(self._start(number >= bounds.jobs))

    @property
    def room(self) -> int:
        """How many more tasks it takes now, so that nobody waits."""
        most = (_AHEAD + 1) * self.bounds.jobs + 2 * _DOWNLOADS * self._fetchers
        held = sum(len(worker.given) for worker in self._workers)
        return most - held - len(self._to_do) - len(self._to_find) - len(self._ended)

    @property
    def at_work(self) -> list[str]:
        """The models that are being worked on."""
        return [given.task.item.name for worker in self._workers for given in worker.running]

    def submit(self, task: Task) -> None:
        """Hand over a task."""
        if self._fetchers and task.item.on_hub:
            self._to_find.append(task)
        else:
            self._to_do.append(_Given(task, 0.0))

    def wait(self, seconds: float) -> list[tuple[Task, Record]]:
        """Wait until attempts have ended, for so long at most, and give them."""
        self._feed()
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), 0.0 if self._ended else seconds):
            self._take(by_connection[connection])
        self._end_late()
        self._feed()
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            _kill(worker)
        self._workers.clear()

    def _feed(self) -> None:
        for worker in self._workers:
            while worker.room > 0 and (given := self._next(worker.fetches)) is not None:
                given.since = time.monotonic()
                worker.given.append(given)
                header = {"task": given.task.to_json(), "fetched": given.fetched}
                with suppress(OSError):  # it is gone, which `_take` sees
                    send(worker.connection, header, given.blob)

    def _next(self, fetches: bool) -> _Given | None:
        if not fetches:
            return self._to_do.popleft() if self._to_do else None
        waiting = len(self._to_do) < 2 * _DOWNLOADS * self._fetchers  # or files would pile up
        return _Given(self._to_find.popleft(), 0.0) if self._to_find and waiting else None

    def _take(self, worker: _Worker) -> None:
        """Take what a worker says, or that it is gone."""
        try:
            message = receive(worker.connection)
        except (EOFError, OSError):
            self._lost(worker)
            return
        worker.since = time.monotonic()
        if message is None:
            worker.ready = True
            return
        header, blob = message
        given = next(one for one in worker.given if one.task.to_json() == header["task"])
        worker.given.remove(given)
        for after in worker.running if not worker.fetches else ():
            after.since = worker.since
        worker.done += 1
        record = header["record"]
        if record is None:
            self._to_do.append(_Given(given.task, 0.0, blob, header["fetched"]))
        else:
            self._ended.append((given.task, record))
        full = record is not None and (record["reason"] or {}).get("kind") == Reason.MEMORY.value
        if full or worker.done >= _TASKS:
            worker.retiring = True
            self._retire(worker)

    def _retire(self, worker: _Worker) -> None:
        """Replace a worker; what it has not begun goes to others, what it has begun is begun anew."""
        left = list(worker.given)
        self._replace(worker)
        self._again(left, worker.fetches)

    def _again(self, left: list[_Given], fetches: bool) -> None:
        for given in reversed(left):
            if fetches:
                self._to_find.appendleft(given.task)
            else:
                self._to_do.appendleft(given)

    def _lost(self, worker: _Worker) -> None:
        """Note what a worker was doing that has died, and go on with another."""
        worker.process.join(5)
        how = _how(worker.process.exitcode)
        running, left = worker.running, list(worker.given)[len(worker.running) :]
        if not worker.ready:
            raise Sb3portError(f"a worker died before it was ready ({how})")
        self._replace(worker)
        if worker.fetches:
            running = self._suspected(running)
        for given in running:
            what = "fetching it" if worker.fetches else "working on it"
            self._fail(given, Reason.CRASHED, f"the process that was {what} died ({how})")
        self._again(left, worker.fetches)

    def _suspected(self, running: list[_Given]) -> list[_Given]:
        """Of what was fetched at the same time, give what has been there twice; the rest is tried again."""
        for given in running:
            name = given.task.item.name
            self._suspects[name] = self._suspects.get(name, 0) + 1
        twice = [given for given in running if self._suspects[given.task.item.name] > 1]
        self._again([given for given in running if given not in twice], fetches=True)
        return twice

    def _end_late(self) -> None:
        """End what takes too long."""
        now = time.monotonic()
        for worker in list(self._workers):
            if not worker.ready:
                if now - worker.since > _STARTING_SECONDS:
                    raise Sb3portError(f"a worker was not ready after {_STARTING_SECONDS:.0f} s")
                for given in worker.given:
                    given.since = now
                continue
            late = [given for given in worker.running if now - given.since > self.bounds.timeout]
            if not late:
                continue
            left = [given for given in worker.given if given not in late]
            self._replace(worker)
            for given in late:
                what = "fetching it" if worker.fetches else "it"
                sentence = f"{what} takes longer than --timeout allows ({self.bounds.timeout:g} s)"
                self._fail(given, Reason.TIME, sentence)
            self._again(left, worker.fetches)

    def _fail(self, given: _Given, reason: Reason, sentence: str) -> None:
        record = {**new_record(given.task, self.job), "fetched": given.fetched}
        record["seconds"] = round(time.monotonic() - given.since, 4)
        self._ended.append((given.task, failed(record, reason, sentence)))

    def _replace(self, worker: _Worker) -> None:
        _kill(worker)
        self._workers[self._workers.index(worker)] = self._start(worker.fetches)

    def _start(self, fetches: bool) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        memory = None if fetches else self.bounds.memory
        arguments = (theirs, self.job, memory, _DOWNLOADS if fetches else 1, dict(os.environ))
        process = self._context.Process(target=serve, args=arguments, daemon=False)  # type: ignore[attr-defined]
        with _one_thread(), _without_main():
            process.start()
        theirs.close()
        return _Worker(process, ours, fetches)


def _context(job: Job) -> BaseContext:
    """Give how processes are started: forked from one that has few threads, where the system can."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([f"sb3port.commands.bulk.{'warm_torch' if job.needs_torch else 'warm'}"])
    return context


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let what is started compute on one thread: there is a worker for every core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_main() -> Iterator[None]:
    """Let what is started not run the program again that started us, as multiprocessing does else.

    It would take as long as to port ten models, and a script would start what it starts once more.
    """
    main = vars(sys.modules["__main__"])
    names = ("__spec__", "__file__")
    before: dict[str, Any] = {name: main[name] for name in names if name in main}
    main["__spec__"] = None
    main.pop("__file__", None)
    try:
        yield
    finally:
        main.update(before)


def _kill(worker: _Worker) -> None:
    """End a worker, and what it has started."""
    worker.connection.close()
    pid = worker.process.pid
    if sys.platform != "win32" and pid is not None and worker.ready:
        with suppress(OSError):  # it leads a group of its own since it is ready
            os.killpg(pid, signal.SIGKILL)
    with suppress(OSError):
        worker.process.kill()
    worker.process.join(10)


def _how(code: int | None) -> str:
    if code is None:
        return "nobody knows how"
    if code >= 0:
        return f"exit code {code}"
    known = {number.value: number.name for number in signal.Signals}
    name = known.get(-code, f"signal {-code}")
    return f"{name}, as the system does when memory is short" if name == "SIGKILL" else name
