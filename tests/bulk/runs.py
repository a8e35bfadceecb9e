"""What tests of bulk runs share: runs, what is left of them, and workers that meet poison."""

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sb3port.commands.bulk import work
from sb3port.commands.bulk.crew import Bounds
from sb3port.commands.bulk.items import find_items
from sb3port.commands.bulk.job import Action, Job
from sb3port.commands.bulk.records import MEASURED
from sb3port.commands.bulk.running import Plan, Progress, run
from sb3port.commands.bulk.worker import serve

UNVERIFIED = Job(verify=False)


def bulk(out: Path, *labels: Path | str, job: Job = UNVERIFIED, jobs: int = 2, **more: Any) -> Progress:
    """Run, in worker processes, on what is found."""
    finding = {name: more.pop(name) for name in ("author", "wanted") if name in more}
    bounds = Bounds(jobs, more.pop("timeout", 120.0), more.pop("memory", 4 << 30))
    items = find_items([str(label) for label in labels], leave_out=out, **finding).items
    return run(Plan(job, items, out, bounds, **more))


def ledger(out: Path) -> list[dict[str, Any]]:
    """Read the lines of a ledger."""
    return [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]


def by_model(out: Path) -> dict[str, dict[str, Any]]:
    """Give the last line of each model, of which there must be one."""
    lines = ledger(out)
    found = {line["model"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def essence(out: Path) -> list[dict[str, Any]]:
    """Give the lines of a ledger without what differs when the same is done again, in one order."""
    lines = [{key: value for key, value in line.items() if key not in MEASURED} for line in ledger(out)]
    return sorted(lines, key=lambda line: (line["model"], line["attempt"]))


def tree(out: Path, leave_out: Iterable[str] = ("ledger.jsonl",)) -> dict[str, bytes]:
    """Give every file below a folder, hidden ones among them, and its content."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in leave_out]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def poisoned(connection: Connection, job: Job, *rest: Any) -> None:
    """Be a worker in which models do by their names what no honest one does."""
    convert = work._ACTIONS[Action.CONVERT]

    def act(attempt: Any, source: Any) -> None:
        name = attempt.item.name
        if "crash" in name:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "hang" in name:
            time.sleep(1000)
        if "eat" in name:
            bytearray(8 << 30)
        if "bug" in name:
            raise LookupError("<b>of ours</b>")
        convert(attempt, source)

    work._ACTIONS[Action.CONVERT] = act
    serve(connection, job, *rest)


def slowly(
    connection: Connection, job: Job, memory: int | None, threads: int, env: Mapping[str, str]
) -> None:
    """Be a worker that takes its time, so that it can be killed in the middle."""
    keep = work.keep_record

    def later(*given: Any) -> None:
        time.sleep(0.02)
        keep(*given)
        time.sleep(0.02)

    work.keep_record = later
    serve(connection, job, memory, threads, env)
