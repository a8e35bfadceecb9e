"""A bulk run: every model that the ledger does not have yet is tried, and what came of it is noted."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from sb3port.commands.bulk.attempts import Attempts
from sb3port.commands.bulk.crew import Bounds, Crew
from sb3port.commands.bulk.job import Action, Item, Job, Task, member
from sb3port.commands.bulk.ledger import Ledger
from sb3port.commands.bulk.placing import LEDGER, Places
from sb3port.commands.bulk.records import Record, Status
from sb3port.errors import UsageError, need
from sb3port.files.renaming import flush_all

_SECONDS = 0.25  # after which whoever watches is told again


class Workers(Protocol):
    """Who makes the attempts: processes of this machine, or of many."""

    @property
    def room(self) -> int:
        """How many more tasks are taken now."""

    @property
    def at_work(self) -> list[str]:
        """The models that are being worked on, so far as that is known."""

    def submit(self, task: Task) -> None:
        """Hand over a task."""

    def wait(self, seconds: float) -> list[tuple[Task, Record]]:
        """Wait until attempts have ended, for so long at most, and give them."""

    def close(self) -> None:
        """End all that is under way."""


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Args:
        job: With every model.
        items: The models, without a place for their results.
        out: The folder of all results.
        bounds: What workers may use.
        retry: Try those again that failed before.
        ray: The address of a Ray cluster, "auto" for the one that is found; None to work on this machine.
    """

    job: Job
    items: list[Item]
    out: Path
    bounds: Bounds
    retry: bool = False
    ray: str | None = None


@dataclass
class Progress:
    """How far a run is.

    Args:
        total: How many models there are.
        before: How many of them were tried in earlier runs.
        statuses: How the attempts of this run ended.
        outcomes: The same in more words, of all runs: the verdict, or why they failed.
        failed_before: How many of those that were tried before failed.
        at_work: The models that are being worked on.
        began: When, by `time.monotonic`.
        seconds: For how long it has worked.
    """

    total: int = 0
    before: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    failed_before: int = 0
    at_work: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        """How many models have been tried."""
        return self.before + sum(self.statuses.values())

    @property
    def failed_in_all(self) -> int:
        """How many failed, now or before."""
        return self.failed_before + self.statuses[Status.FAILED.value]

    @property
    def done_in_all(self) -> int:
        """How many were done, now or before."""
        return self.outcomes.total() - self.failed_in_all - self.outcomes[Status.SEVERAL.value]

    @property
    def per_second(self) -> float:
        """How many attempts end in a second."""
        return sum(self.statuses.values()) / max(self.seconds, 1e-6)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take, None where nobody can tell yet."""
        rate = self.per_second
        return (self.total - self.ended) / rate if rate > 0 and self.statuses else None


Watch: TypeAlias = Callable[[Progress], None]


def check_plan(job: Job) -> None:
    """Refuse what cannot be done, before any model is looked for.

    Raises:
        UsageError: Packages are missing, or the options do not go together.
    """
    if job.action is Action.EXPORT:
        from sb3port.commands.export import ExportOptions, check_options

        check_options(None, ExportOptions(target=job.target, verify=job.verify))
    elif job.action is not Action.SCAN and job.verify:
        need("sb3", "verifying", "leave it out with --no-verify")
    if job.episodes:
        need("torch", "evaluating")
    if job.action is not Action.CONVERT and (job.episodes or job.owner):
        raise UsageError("only ports are evaluated or pushed", "drop the one or the other")


def run(plan: Plan, watch: Watch = lambda _: None) -> Progress:
    """Try every model that has not been tried, and put what comes of it in its place.

    Args:
        plan: What to do.
        watch: Called now and then.

    Raises:
        UsageError: The folder holds something else, or a bulk run of another kind.
    """
    with Ledger(plan.out / LEDGER) as ledger:
        return _Run(plan, ledger, watch).run()


class _Run:
    """A run under way."""

    def __init__(self, plan: Plan, ledger: Ledger, watch: Watch) -> None:
        self.plan, self.ledger, self.watch = plan, ledger, watch
        self.tried: dict[str, _Tried] = {}
        for record in ledger.records():
            self._know(record)
        self.attempts = Attempts(plan.out, plan.job.kind)
        self.places = Places([item.name for item in plan.items])
        self.left: deque[Item] = deque()
        self.progress = Progress()
        self.ended: list[tuple[Task, Record]] = []
        self.flushed: list[tuple[Task, Record]] = []
        self.flushing: Future[None] | None = None
        self.flusher = ThreadPoolExecutor(1)

    def run(self) -> Progress:
        """Do it all."""
        self._adopt()
        self.attempts.clean_others()
        self._plan(self.plan.items)
        self.progress.began, shown = time.monotonic(), 0.0
        workers = self._workers() if self.left else None
        try:
            while workers is not None and self.progress.ended < self.progress.total:
                while self.left and workers.room > 0:
                    workers.submit(self._task(self.left.popleft()))
                self._wait(workers)
                self.progress.seconds = time.monotonic() - self.progress.began
                if time.monotonic() - shown > _SECONDS:
                    self.progress.at_work, shown = workers.at_work, time.monotonic()
                    self.watch(self.progress)
        finally:
            if workers is not None:
                workers.close()
            self._finish()
        self.watch(self.progress)
        return self.progress

    def _wait(self, workers: Workers) -> None:
        """Wait for results, and put those in their places that have been brought to the disk meanwhile.

        That takes the disk as long for many as for one, and nobody waits for it.
        """
        self.ended += workers.wait(0.02 if self.flushing else _SECONDS)
        if self.flushing is not None and self.flushing.done():
            self.flushing.result()
            self._note(self.flushed)
            self.flushing, self.flushed = None, []
        if self.flushing is None and self.ended:
            self.flushed, self.ended = self.ended, []
            self.flushing = self.flusher.submit(flush_all, self.plan.out)

    def _finish(self) -> None:
        """Note what has ended, also where the run was interrupted, and leave nothing else."""
        self.flusher.shutdown()
        if self.flushed or self.ended:
            flush_all(self.plan.out)
            # Ctrl-C may have come between two of these steps.
            noted = {(record["model"], record["attempt"]) for record in self.ledger.records()}
            ended = [*self.flushed, *self.ended]
            self._note([one for one in ended if (one[0].item.name, one[0].attempt) not in noted])
        self.attempts.clean()

    def _workers(self) -> Workers:
        plan, fetches = self.plan, any(item.on_hub for item in self.left)
        if plan.ray is not None:
            from sb3port.commands.bulk.on_ray import RayWorkers

            return RayWorkers(plan.job, plan.bounds, plan.ray)
        return Crew(plan.job, plan.bounds, fetches)

    def _plan(self, items: Iterable[Item]) -> None:
        """Take models up: those that were tried already are counted, others are to be done.

        The checkpoints of a repository that holds several come next after it.
        """
        waiting = [iter(items)]
        while waiting:
            if (item := next(waiting[-1], None)) is None:
                waiting.pop()
                continue
            placed = self.places.placed(item)
            tried = self.tried.get(item.name)
            self.progress.total += 1
            if tried is None or (self.plan.retry and tried.status == Status.FAILED.value):
                self.left.append(placed)
            else:
                self.progress.before += 1
                self.progress.failed_before += tried.status == Status.FAILED.value
                self.progress.outcomes[tried.outcome] += 1
                waiting.append(self._members(placed, tried.members, tried.revision))

    def _members(self, item: Item, names: Sequence[str], revision: str | None) -> Iterator[Item]:
        """Give the checkpoints of a repository that holds several, which has no place itself then."""
        if names:
            self.places.release(item)
        return (member(item, name, revision) for name in names)

    def _task(self, item: Item) -> Task:
        tried = self.tried.get(item.name)
        return self.attempts.task(item, tried.attempt + 1 if tried is not None else 1)

    def _know(self, record: Record) -> None:
        if record["options"] != self.plan.job.options:
            raise UsageError(
                f"{self.plan.out} holds a bulk run with other options ({_shown(record['options'])})",
                "run it with the same ones, or choose another folder with --out",
            )
        before = self.tried.get(record["model"])
        out = record["out"] or (before.out if before is not None else None)
        revision = record["source"].get("revision")
        members = tuple(record["members"])
        found = _Tried(record["attempt"], record["status"], _outcome(record), out, members, revision)
        self.tried[record["model"]] = found

    def _adopt(self) -> None:
        """Note what an earlier run has done, and was killed before it could note it."""

        def known(name: str, attempt: int) -> bool:
            tried = self.tried.get(name)
            return tried is not None and tried.attempt >= attempt

        left = [
            (task, r) for task, r in self.attempts.left_over(known) if r["options"] == self.plan.job.options
        ]
        unique = {(record["model"], record["attempt"]): (task, record) for task, record in left}
        self._enter(list(unique.values()))

    def _note(self, ended: list[tuple[Task, Record]]) -> None:
        """Put results in their places, then write to the ledger, then forget the attempts."""
        for (task, _), record in zip(ended, self._enter(ended), strict=True):
            self.progress.statuses[record["status"]] += 1
            self.progress.outcomes[_outcome(record)] += 1
            self._plan(self._members(task.item, record["members"], record["source"]["revision"]))

    def _enter(self, ended: list[tuple[Task, Record]]) -> list[Record]:
        records = [self.attempts.place(task, record, self._replaces(record)) for task, record in ended]
        self.attempts.flush([task for task, record in ended if record["out"] is not None])
        self.ledger.append(records)
        for task, record in zip([task for task, _ in ended], records, strict=True):
            self._know(record)
            self.attempts.done(task)
        return records

    def _replaces(self, record: Record) -> bool:
        before = self.tried.get(record["model"])
        return before is not None and before.out is not None


@dataclass(frozen=True)
class _Tried:
    """What is kept in mind of the last attempt at a model."""

    attempt: int
    status: str
    outcome: str
    out: str | None
    members: tuple[str, ...]
    revision: str | None


def _outcome(record: Record) -> str:
    if record["reason"] is not None:
        return str(record["reason"]["kind"])
    return str(
        record["verdict"] if record["status"] == Status.DONE.value and record["verdict"] else record["status"]
    )


def _shown(options: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
