"""A worker: a process that makes attempts, one after the other, for the process that started it.

What goes between the two is JSON, because a worker reads the files of strangers. What one worker hands on to
another, the files of a model that was fetched, goes through as bytes that only the other reads.
"""

import gc
import json
import os
import pickle
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from sb3port.commands.bulk.job import Job, Task, task_of
from sb3port.commands.bulk.records import Record
from sb3port.commands.bulk.work import do, find
from sb3port.files.budget import allow_more
from sb3port.files.walls import die_with_parent
from sb3port.readers.places.source import Source

READY = b"ready"


def serve(
    connection: Connection, job: Job, memory: int | None, threads: int, variables: Mapping[str, str]
) -> None:
    """Be a worker, until the other end is closed.

    Args:
        connection: On which tasks come and records go.
        job: What is done with every model.
        memory: How many bytes it may use beside what it has now, None for any.
        threads: 1 to do what is asked in order; more to find so many models' files at a time.
        variables: The environment variables of who started it, which may have changed since.
    """
    _be_apart()
    gc.freeze()  # what was imported stays, and need not be looked through again and again
    os.environ.update(variables)
    allow_more(job.limits)
    if memory is not None:
        _limit(memory)
    connection.send_bytes(READY)
    with suppress(EOFError, OSError):  # the other end is gone
        if threads == 1:
            _serve_in_order(connection, job)
        else:
            _serve_at_once(connection, job, threads)
    os._exit(0)  # whatever else still runs in it


def _serve_in_order(connection: Connection, job: Job) -> None:
    while True:
        header, blob = _receive(connection)
        task = task_of(header["task"])
        # Ours, and from another of our own processes.
        source: Source | None = pickle.loads(blob) if blob else None
        send(connection, {"task": task.to_json(), "record": do(task, job, source, header["fetched"])})


def _serve_at_once(connection: Connection, job: Job, threads: int) -> None:
    lock = threading.Lock()

    def answer(task: Task) -> None:
        began = time.perf_counter(), time.thread_time()
        found = find(task, job)
        fetched = [round(time.perf_counter() - began[0], 4), round(time.thread_time() - began[1], 4)]
        with lock, suppress(OSError):
            if isinstance(found, Source):
                header = {"task": task.to_json(), "record": None, "fetched": fetched}
                send(connection, header, pickle.dumps(found))
            else:
                record: Record = {**found, "fetched": fetched, "seconds": fetched[0]}
                send(connection, {"task": task.to_json(), "record": record})

    with ThreadPoolExecutor(threads) as pool:
        while True:
            header, _ = _receive(connection)
            pool.submit(answer, task_of(header["task"]))


def send(connection: Connection, header: dict[str, Any], blob: bytes = b"") -> None:
    """Send a message, which `receive` takes."""
    connection.send_bytes(json.dumps(header).encode("ascii") + b"\n" + blob)


def _receive(connection: Connection) -> tuple[dict[str, Any], bytes]:
    header, _, blob = connection.recv_bytes().partition(b"\n")
    return dict(json.loads(header)), blob


def receive(connection: Connection) -> tuple[dict[str, Any], bytes] | None:
    """Receive a message; None for the first one, which says that the worker is there.

    Raises:
        EOFError: It is gone.
    """
    message = connection.recv_bytes()
    if message == READY:
        return None
    header, _, blob = message.partition(b"\n")
    return dict(json.loads(header)), blob


def _be_apart() -> None:
    """Let Ctrl-C be for the other process alone, and end with it."""
    if hasattr(os, "setsid"):
        with suppress(OSError):
            os.setsid()
    if sys.platform == "linux":
        die_with_parent(os.getppid())


def _limit(memory: int) -> None:
    if sys.platform != "linux":
        return
    import resource
    from pathlib import Path

    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = used + memory if hard == resource.RLIM_INFINITY else min(used + memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
