"""Lines of the ledger: what came of one attempt at one model. `ledger.schema.json` is what they must be."""

import os
import re
import socket
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.checkpoint.str_enum import StrEnum
from sb3port.checkpoint.version import __version__
from sb3port.commands.bulk.job import Job, Task
from sb3port.errors import Sb3portError
from sb3port.families.algorithms import display_name
from sb3port.readers.places.source import Source

Record: TypeAlias = dict[str, Any]

SCHEMA, VERSION = "sb3port.bulk", 1
MEASURED = ("seconds", "cpu_seconds", "fetched", "finished", "worker")
"""Fields that are others when the same is done again."""
_MOST_WARNINGS = 10
_LONGEST = 500


class Status(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    SEVERAL = "several"
    """The repository holds several checkpoints, each of which is a model of its own."""


class Reason(StrEnum):
    """Why one failed, in a word or two."""

    DIFFERS = "differs"
    NEEDS_OPTION = "needs an option"
    UNREACHABLE = "unreachable"
    NOT_PORTABLE = "not portable"
    UNSAFE = "unsafe"
    TIME = "time"
    MEMORY = "memory"
    CRASHED = "crashed"
    BUG = "bug"


_BY_EXIT_CODE = {
    1: Reason.DIFFERS,
    2: Reason.NEEDS_OPTION,
    3: Reason.UNREACHABLE,
    4: Reason.NOT_PORTABLE,
    5: Reason.UNSAFE,
}
_EXIT_CODES = {reason: code for code, reason in _BY_EXIT_CODE.items()}


def new_record(task: Task, job: Job) -> Record:
    """Give a record of which nothing is known yet but what was to be done."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "model": task.item.name,
        "attempt": task.attempt,
        "status": Status.FAILED.value,
        "options": job.options,
        "source": {"label": task.item.source, "filename": task.item.filename, "revision": task.item.revision},
        "policy": None,
        "verdict": None,
        "evaluation": None,
        "scan": None,
        "out": None,
        "bytes": None,
        "url": None,
        "reason": None,
        "warnings": [],
        "members": [],
        "seconds": 0.0,
        "cpu_seconds": 0.0,
        "fetched": None,
        "finished": _now(),
        "worker": _worker(),
        "sb3port": __version__,
    }


def failed(record: Record, reason: Reason, sentence: str, hint: str | None = None, stage: str = "") -> Record:
    """Give the record with why it failed."""
    told = {
        "kind": reason.value,
        "sentence": sentence,
        "hint": hint,
        "stage": stage,
        "exit_code": _EXIT_CODES.get(reason, 70 if reason is Reason.BUG else 4),
    }
    return {**record, "status": Status.FAILED.value, "reason": told, "finished": _now()}


def failed_by(record: Record, error: Sb3portError, stage: str) -> Record:
    """Give the record with the error that a command of its own would have ended with."""
    reason = _BY_EXIT_CODE.get(error.exit_code, Reason.BUG)
    return failed(record, reason, error.message, error.hint, stage)


def source_json(source: Source) -> Record:
    """Say where the files came from."""
    return {
        "label": source.label,
        "kind": source.kind,
        "location": source.location,
        "revision": source.revision,
        "checkpoint": source.checkpoint.shown,
        "statistics": list(source.statistics.names)[:_MOST_WARNINGS],
    }


def policy_json(checkpoint: Checkpoint) -> Record:
    """Say what policy it is."""
    version = checkpoint.provenance.sb3_version
    return {
        "algorithm": display_name(checkpoint.spec.algorithm),
        "extractor": checkpoint.spec.features_extractor,
        "sb3_version": version,
        "era": era_of(version),
        "env": checkpoint.environment.env_id,
        "numbers": sum(array.size for array in checkpoint.tensors.values()),
        "normalised": checkpoint.normalizer is not None,
        "sha256": {role: file.sha256 for role, file in checkpoint.provenance.files.items()},
    }


def era_of(version: str | None) -> str:
    """Give the first two numbers of an SB3 version, such as "1.6"."""
    match = re.match(r"\d+\.\d+", version or "")
    return match[0] if match else "unknown"


def warnings_json(warnings: Sequence[str]) -> list[str]:
    """Give the first warnings."""
    return [warning[:_LONGEST] for warning in warnings[:_MOST_WARNINGS]]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@cache
def _host() -> str:
    return socket.gethostname()


def _worker() -> str:
    return f"{_host()}/{os.getpid()}"
