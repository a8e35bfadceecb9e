"""One attempt at one model, in the process that makes it.

Whatever it writes lies in the attempt's own folder, and who started it puts that in its place.
"""

import math
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands.bulk.attempt_folder import begin_anew, keep_record, result_folder
from sb3port.commands.bulk.job import Action, Item, Job, Task
from sb3port.commands.bulk.line_schema import check_line
from sb3port.commands.bulk.records import (
    Reason,
    Record,
    Status,
    failed,
    failed_by,
    new_record,
    policy_json,
    source_json,
    warnings_json,
)
from sb3port.commands.convert import ConvertOptions, convert_into
from sb3port.commands.failures import known_error
from sb3port.commands.policies import Policy, find_policy
from sb3port.commands.sandboxed import kept_readers, seconds_of_readers
from sb3port.errors import Sb3portError, VerificationFailed
from sb3port.files.budget import budget
from sb3port.files.renaming import flushed_later
from sb3port.parity.comparison.report import ParityReport
from sb3port.readers.formats.remembering import remembering
from sb3port.readers.places.pairing import Several
from sb3port.readers.places.source import Source, resolve
from sb3port.readers.places.source_files import remembered_folders

_MOST_FINDINGS = 20
_LONGEST_TRACE = 4000
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "bad allocation", "Cannot allocate memory")


@dataclass
class _Attempt:
    """An attempt under way: what is done with it, and what is known of it so far.

    Args:
        task: What is tried.
        job: How.
        record: What is known.
        stage: What is being done, in a word.
    """

    task: Task
    job: Job
    record: Record
    stage: str = "find"

    @property
    def item(self) -> Item:
        """The model."""
        return self.task.item

    @property
    def dest(self) -> Path:
        """Where its result grows, under the name that it will have."""
        return result_folder(self.task)

    def announce(self, stage: str, _: str) -> None:
        """Take note that a stage is done."""
        after = {"read": "map", "map": "write", "write": "verify", "verify": "finish"}
        self.stage = after.get(stage, stage)

    def know(self, **facts: Any) -> None:
        """Add to what is known."""
        self.record.update(facts)


def find(task: Task, job: Job) -> Source | Record:
    """Find a model's files, and fetch them where they are on the Hub; or give what came of the attempt."""
    attempt = _Attempt(task, job, new_record(task, job))
    found: list[Source] = []

    def run() -> None:
        found.append(_resolve(attempt))

    record = _guarded(attempt, run)
    return found[0] if found else record


def do(task: Task, job: Job, source: Source | None = None, fetched: Sequence[float] | None = None) -> Record:
    """Make an attempt, and leave its record in the folder of the task.

    Args:
        task: What to do.
        job: How.
        source: The files, where `find` has found them.
        fetched: How many seconds that took, and how many of computing.
    """
    attempt = _Attempt(task, job, new_record(task, job))
    began, cpu = time.perf_counter(), _computed()
    with flushed_later(), remembered_folders(), remembering(), kept_readers():
        record = _guarded(attempt, lambda: _act(attempt, source))
    record["seconds"] = round(time.perf_counter() - began, 4)
    record["cpu_seconds"] = round(_computed() - cpu, 4)
    record["fetched"] = list(fetched) if fetched is not None else None
    record = _that_is_read_back(attempt, record)
    keep_record(task, record)
    return record


def _that_is_read_back(attempt: _Attempt, record: Record) -> Record:
    """Give a record that is a line of a ledger: one that was not would keep all of it from being read."""
    try:
        check_line(record)
    except ValueError as error:
        sentence = f"this is a bug in sb3port: it cannot note what came of it: {error}"[:500]
        return failed(new_record(attempt.task, attempt.job), Reason.BUG, sentence, stage=attempt.stage)
    return record


def _computed() -> float:
    """Seconds of computing so far, of this process and of those that it has started, so far as is known."""
    return sum(os.times()[:4]) + seconds_of_readers()


def _guarded(attempt: _Attempt, work: Callable[[], None]) -> Record:
    """Do something, and give the record with what came of it."""
    record = attempt.record
    try:
        with budget(attempt.job.limits):
            work()
    except Several as several:
        revision = several.revision or attempt.item.revision
        members = {"status": Status.SEVERAL.value, "members": list(several.names)}
        return {**record, **members, "source": {**record["source"], "revision": revision}}
    except MemoryError:
        return failed(record, Reason.MEMORY, "it takes more memory than --memory allows", stage=attempt.stage)
    except Exception as error:
        return _failed(attempt, error)
    return {**record, "status": Status.DONE.value}


def _failed(attempt: _Attempt, error: Exception) -> Record:
    record = attempt.record
    if isinstance(error, VerificationFailed):
        record["verdict"] = error.report.get("verdict")
    if (known := known_error(error)) is not None and known.exit_code != 70:
        return failed_by(record, known, attempt.stage)
    text = str(error)
    if any(words in text for words in _OUT_OF_MEMORY):
        return failed(record, Reason.MEMORY, "it takes more memory than --memory allows", stage=attempt.stage)
    sentence = f"this is a bug in sb3port: {type(error).__name__}: {text}"[:500]
    trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACE:]
    return failed(record, Reason.BUG, sentence, trace, attempt.stage)


def _resolve(attempt: _Attempt) -> Source:
    source = resolve(attempt.item.source, attempt.item.reading(attempt.job).source)
    attempt.know(source=source_json(source))
    return source


def _act(attempt: _Attempt, source: Source | None) -> None:
    begin_anew(attempt.task)
    _ACTIONS[attempt.job.action](attempt, source)


def _convert(attempt: _Attempt, source: Source | None) -> None:
    job, item = attempt.job, attempt.item
    source = source or _resolve(attempt)
    attempt.know(source=source_json(source))
    attempt.stage = "read"
    options = ConvertOptions(item.reading(job), job.verify, reload=job.reload)
    attempt.dest.mkdir()
    done = convert_into(attempt.dest, source, options, attempt.announce)
    attempt.know(**_written(attempt, done.checkpoint, done.report))
    if job.episodes:
        attempt.stage = "evaluate"
        attempt.know(evaluation=_evaluated(attempt, done.checkpoint))
    if job.owner:
        attempt.stage = "push"
        attempt.know(url=_pushed(attempt))


def _written(attempt: _Attempt, checkpoint: Checkpoint, report: ParityReport | None) -> dict[str, Any]:
    files = [entry for entry in attempt.dest.rglob("*") if entry.is_file()]
    return {
        "policy": policy_json(checkpoint),
        "verdict": str(report.verdict) if report is not None else None,
        "warnings": warnings_json(checkpoint.warnings),
        "out": attempt.item.dest,
        "bytes": sum(file.stat().st_size for file in files),
    }


def _evaluated(attempt: _Attempt, checkpoint: Checkpoint) -> dict[str, Any]:
    """Run the port in the environment of its training, where that is one that a file may choose."""
    from sb3port.commands.evaluate import evaluate_port
    from sb3port.environments.choosing import choose_environment
    from sb3port.environments.rollouts import Setting
    from sb3port.environments.wrapping import wrapping_in

    chosen = choose_environment(checkpoint.environment)
    seeds = range(attempt.job.episodes)
    found = evaluate_port(attempt.dest, Setting(chosen.env_id or "", seeds, wrapping_in(chosen)))
    told = found.to_json()
    numbers = ("mean_return", "standard_error", "standard_deviation", "mean_length")
    finite = {name: _finite(told[name]) for name in numbers}
    return {"env": told["env"], **finite, "episodes": attempt.job.episodes}


def _finite(value: float | None) -> float | None:
    """Give a number that JSON has: an environment may give rewards that are none."""
    return value if value is None or math.isfinite(value) else None


def _pushed(attempt: _Attempt) -> str:
    from sb3port.commands.publishing.contents import prepare
    from sb3port.commands.publishing.uploading import push
    from sb3port.files.texts.names import file_name

    place = PurePosixPath(attempt.item.dest)
    name = place.name if attempt.item.on_hub and not attempt.item.filename else "-".join(place.parts)
    repo_id = f"{attempt.job.owner}/{file_name(name, 'policy', hyphens=True)}"
    return push(prepare(attempt.dest, repo_id), attempt.job.private).url


def _export(attempt: _Attempt, source: Source | None) -> None:
    from sb3port.commands.export import ExportOptions, check_options, export_policy, repair_policy

    job, item = attempt.job, attempt.item
    options = ExportOptions(target=job.target or "sb3", verify=job.verify)
    check_options(None, options)
    if source is not None:
        policy = Policy(item.source, item.reading(job), source=source)
    else:
        policy = find_policy(item.source, item.reading(job))
    if policy.source is not None:
        attempt.know(source=source_json(policy.source))
    attempt.stage = "read"
    write = repair_policy if job.action is Action.REPAIR else export_policy
    done = write(policy, attempt.dest, options, attempt.announce)
    attempt.know(**_written(attempt, policy.checkpoint, done.report))


def _scan(attempt: _Attempt, _: Source | None) -> None:
    """Scan the files that belong to a model; one that is dangerous, or cannot be read, is a failure."""
    from sb3port.scanning.findings import counts, exit_code
    from sb3port.scanning.scan import scan
    from sb3port.scanning.summaries import told, worst_first

    attempt.stage = "scan"
    files = worst_first(list(scan(_files(attempt))))
    findings = [f"{file.path}: {text}" for file in files for text in told(file)]
    told_of = {"files": len(files), "counts": dict(counts(files)), "findings": findings[:_MOST_FINDINGS]}
    verdict = files[0].verdict.value if files else "clean"
    attempt.know(scan=told_of, verdict=verdict, bytes=sum(file.size for file in files))
    if code := exit_code(files, strict=False):
        kind = {4: Reason.NOT_PORTABLE, 5: Reason.UNSAFE}[code]
        raise _Found(kind, findings[0] if findings else verdict)


class _Found(Sb3portError):
    """A scan found something."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_code = 5 if reason is Reason.UNSAFE else 4  # type: ignore[misc] # of this one alone


def _files(attempt: _Attempt) -> Any:
    from sb3port.scanning.scan import Target, targets

    item = attempt.item
    if item.on_hub:
        yield from targets(f"hf://{item.source}{f'/{item.filename}' if item.filename else ''}", item.revision)
        return
    try:
        source = _resolve(attempt)
    except Sb3portError:  # whatever it is, it can be scanned
        yield Target(item.name, Path(item.source, item.filename or ""))
        return
    names = (*source.checkpoint.files.values(), *source.statistics.names)
    yield from (Target(name, source.path(name)) for name in names)


_ACTIONS: dict[Action, Callable[[_Attempt, Source | None], None]] = {
    Action.CONVERT: _convert,
    Action.REPAIR: _export,
    Action.EXPORT: _export,
    Action.SCAN: _scan,
}
