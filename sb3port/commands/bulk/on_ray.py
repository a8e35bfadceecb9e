"""Workers on the machines of a Ray cluster, which all see the folder of results, and the models.

Ray decides what runs where, and does again what was lost with a machine. On each machine a task is done by a
`Crew` of one worker, with the same limits as without Ray: a model that crashes or hangs costs itself only.
"""

import math
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sb3port.commands.bulk.crew import Bounds, Crew
from sb3port.commands.bulk.job import Job, Task
from sb3port.commands.bulk.records import Reason, Record, failed, new_record
from sb3port.errors import SourceUnreachable, need

_RETRIES = 5
"""How often Ray does a task again whose machine or process was lost."""
_AHEAD = 3
_COUNTING_SECONDS = 2.0
_HANDFUL = 8
"""How many models one task of Ray has: to hand over one takes it as long as to port one without verifying."""
_crews: dict[tuple[Job, Bounds], Crew] = {}


class RayWorkers:
    """Workers on a Ray cluster.

    Args:
        job: What is done with every model.
        bounds: What each worker may use; Ray decides how many there are.
        address: Of the cluster, or "auto" for the one that is found.

    Raises:
        UsageError: Ray is not installed.
        SourceUnreachable: There is no such cluster.
    """

    def __init__(self, job: Job, bounds: Bounds, address: str) -> None:
        need("ray", "--ray")
        # Where `uv run` started this, Ray would send the working folder, ports and all, to every machine, and
        # run its workers by uv there; sb3port is on all of them already.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        import ray

        self._ray: Any = ray
        self._job, self._bounds = job, Bounds(1, bounds.timeout, bounds.memory)
        self._connect(address)
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES, retry_exceptions=False)
        self._attempt = remote(attempt)
        self._pending: dict[Any, list[Task]] = {}
        self._next: list[Task] = []
        self._size = 1 if job.needs_torch else _HANDFUL
        self._cores, self._counted = 1, -math.inf

    def _connect(self, address: str) -> None:
        try:
            if not self._ray.is_initialized():
                self._ray.init(address=address, logging_level="error", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            hint = "start one with: ray start --head"
            raise SourceUnreachable(
                f"there is no Ray cluster at {address}: {str(error)[:200]}", hint
            ) from None

    @property
    def room(self) -> int:
        """How many more tasks it takes now, for the cores that the cluster has now."""
        if time.monotonic() - self._counted > _COUNTING_SECONDS:
            self._cores = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
            self._counted = time.monotonic()
        held = len(self._next) + sum(map(len, self._pending.values()))
        return _AHEAD * self._size * self._cores - held

    @property
    def at_work(self) -> list[str]:
        """The models that have been handed over."""
        return [task.item.name for tasks in self._pending.values() for task in tasks]

    def submit(self, task: Task) -> None:
        """Hand over a task; some go together."""
        self._next.append(task)
        if len(self._next) >= self._size:
            self._send()

    def _send(self) -> None:
        if self._next:
            reference = self._attempt.remote(self._job, self._bounds, self._next)
            self._pending[reference] = self._next
            self._next = []

    def wait(self, seconds: float) -> list[tuple[Task, Record]]:
        """Wait until attempts have ended, for so long at most, and give them."""
        self._send()
        if not self._pending:
            return []
        ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        more, _ = self._ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        return [one for reference in {*ready, *more} for one in self._ended(reference)]

    def _ended(self, reference: Any) -> list[tuple[Task, Record]]:
        tasks = self._pending.pop(reference)
        try:
            done = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            why = f"Ray lost it {_RETRIES + 1} times ({type(error).__name__})"
            return [(task, failed(new_record(task, self._job), Reason.CRASHED, why)) for task in tasks]
        for task in tasks:
            with suppress(OSError):
                Path(task.folder).rmdir()
        return [(replace(task, folder=f), r) for task, (f, r) in zip(tasks, done, strict=True)]

    def close(self) -> None:
        """Take back what is under way, and leave the cluster."""
        for reference in self._pending:
            with suppress(Exception):
                self._ray.cancel(reference, force=True)
        self._pending.clear()
        self._ray.shutdown()


def attempt(job: Job, bounds: Bounds, tasks: Sequence[Task]) -> list[tuple[str, Record]]:
    """Make attempts, in a process of Ray's, and give the folder of each, and its record.

    The folders are others than they were given: what was lost may still run somewhere, and write. The worker
    that makes the attempts is kept for the next ones.
    """
    crew = _crews.get((job, bounds))
    if crew is None:
        crew = _crews[(job, bounds)] = Crew(job, bounds, fetches=False)
    own = [replace(task, folder=f"{task.folder}-{secrets.token_hex(4)}") for task in tasks]
    for task in own:
        Path(task.folder).mkdir()
        crew.submit(task)
    records: dict[str, Record] = {}
    while len(records) < len(own):
        records.update((done.folder, record) for done, record in crew.wait(1.0))
    return [(task.folder, records[task.folder]) for task in own]
