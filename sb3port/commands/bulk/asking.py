"""What is asked of a bulk run, and what came of it: the same for the command and for the function."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sb3port.commands.bulk.crew import Bounds
from sb3port.commands.bulk.job import Action
from sb3port.commands.bulk.running import Progress
from sb3port.errors import UsageError

_GIB = 1 << 30


@dataclass(frozen=True)
class Summary:
    """What came of a bulk run. DIR/ledger.jsonl has a line for every model.

    Args:
        out: The folder of all results.
        models: How many there are.
        before: How many of them were tried in earlier runs.
        tried: How many were tried now.
        done: How many are done, now or before.
        failed: How many failed, now or before.
        outcomes: How many ended in which way: a verdict, "done", "several", or why they failed.
        seconds: How long it worked.
        report: `index.html`, `index.csv` and `junit.xml`.
    """

    out: Path
    models: int
    before: int
    tried: int
    done: int
    failed: int
    outcomes: Mapping[str, int]
    seconds: float
    report: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        told = ("models", "tried", "done", "failed")
        counts = {name: getattr(self, name) for name in told}
        report = [str(path) for path in self.report]
        return {"out": str(self.out), **counts, "outcomes": dict(self.outcomes), "report": report}


def summary_of(out: Path, progress: Progress, report: list[Path]) -> Summary:
    """Sum up a run that has ended."""
    return Summary(
        out,
        progress.total,
        progress.before,
        sum(progress.statuses.values()),
        progress.done_in_all,
        progress.failed_in_all,
        dict(progress.outcomes.most_common()),
        progress.seconds,
        tuple(report),
    )


def action_of(scan: bool, repair: bool, export: str | None) -> tuple[Action, str]:
    """Say what is done with every model, and to what it is exported.

    Raises:
        UsageError: Several things are asked for.
    """
    chosen = [name for name, given in (("scan", scan), ("repair", repair), ("export", export)) if given]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} are two things to do", "drop one of the two")
    return Action((chosen or ["convert"])[0]), export or ""


def check_asked(named: bool, private: bool, owner: str | None) -> None:
    """Refuse what makes no sense, before anything is looked for.

    Raises:
        UsageError: No model is named, or something is private that is not pushed.
    """
    if not named:
        raise UsageError("bulk needs models", "name a folder or a list, or --author NAME")
    if private and not owner:
        raise UsageError("--private is for the repositories of --push", "drop it, or add --push OWNER")


def check_numbers(**numbers: float) -> None:
    """Refuse numbers with which nothing would ever be done.

    Raises:
        UsageError: One of them is not above 0.
    """
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise UsageError(f"{name} is {value!r:.100}, but it must be a number above 0")


def bounds_of(jobs: int | None, timeout: float, memory: float) -> Bounds:
    """Give what workers may use.

    Args:
        jobs: How many there are; None for one on every processor.
        timeout: Seconds for one model.
        memory: GiB for one process.
    """
    return Bounds(jobs or _processors(), timeout, int(memory * _GIB))


def _processors() -> int:
    """Say how many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
