"""What a line of a ledger must be before anything in it is believed; `ledger.schema.json` says the same.

A ledger may lie in a folder that came from anybody. What it says decides what is done again, and is put into
a page, a table and a file for CI.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from sb3port.commands.bulk.records import SCHEMA, VERSION, Reason, Status
from sb3port.files.budget import Cost, budget, spend
from sb3port.files.untrusted import parse_json
from sb3port.ports.schema import (
    FLAG,
    PLAIN,
    Check,
    Misfit,
    integer,
    listing,
    mapping,
    number,
    one_of,
    optional,
    record,
    text,
)

LONGEST = 16 << 20  # bytes of a line: a repository may hold many thousands of checkpoints, all named in one

_COUNT, _SECONDS = integer(0, 2**53), number(0, 2.0**53)
_LARGEST = sys.float_info.max  # of whole numbers, JSON has larger ones
_ANY_NUMBER = optional(number(-_LARGEST, _LARGEST))
_NAME, _PLACE, _SENTENCE = text(1000), text(4096), text(50_000)
_MOST_NAMES = 50_000  # as many files as a source may have


def _below(value: Any, place: str) -> None:
    """A path below the folder of all results, which is not hidden there."""
    _PLACE(value, place)
    try:
        os.fsencode(value)
    except UnicodeError:
        raise Misfit(place, value, "the name of a file") from None
    parts = value.split("/")
    if "\0" in value or any(part in ("", "..") or part.startswith(".") for part in parts):
        raise Misfit(place, value, "a path below the folder of all results")


def _members(value: Any, place: str) -> None:
    """Paths of a repository, none of them twice."""
    _NAMES(value, place)
    if len(set(value)) < len(value):
        raise Misfit(place, value, "a list of names, none of them twice")
    for name in value:
        if str(PurePosixPath(name)) != name or "\0" in name:
            raise Misfit(place, name, "a path in a repository")


def _options(value: Any, place: str) -> None:
    mapping(PLAIN, 100)(value, place)
    if "action" not in value:
        raise Misfit(place, value, "what was done")


_NAMES = listing(_PLACE, _MOST_NAMES)
_SOURCE = record(
    {"label": _PLACE, "revision": optional(_NAME)},
    {
        "filename": optional(_PLACE),
        "kind": one_of("hub", "file", "folder"),
        "location": _PLACE,
        "checkpoint": _PLACE,
        "statistics": listing(_PLACE, 100),
    },
)
_POLICY = record(
    {
        "algorithm": _NAME,
        "extractor": _NAME,
        "sb3_version": optional(_NAME),
        "era": _NAME,
        "env": optional(_NAME),
        "numbers": _COUNT,
        "normalised": FLAG,
        "sha256": mapping(_NAME, 100),
    }
)
_EVALUATION = record(
    {
        "env": _NAME,
        "episodes": _COUNT,
        "mean_return": _ANY_NUMBER,
        "standard_error": _ANY_NUMBER,
        "standard_deviation": _ANY_NUMBER,
        "mean_length": _ANY_NUMBER,
    }
)
_SCAN = record({"files": _COUNT, "counts": mapping(_COUNT, 100), "findings": listing(_SENTENCE, 1000)})
_REASON = record(
    {
        "kind": one_of(*(reason.value for reason in Reason)),
        "sentence": _SENTENCE,
        "hint": optional(_SENTENCE),
        "stage": _NAME,
        "exit_code": integer(0, 255),
    }
)
_LINE = record(
    {
        "schema": one_of(SCHEMA),
        "version": one_of(VERSION),
        "model": text(4096, "(?s:.+)", "a name"),
        "attempt": integer(1, 2**53),
        "status": one_of(*(status.value for status in Status)),
        "options": _options,
        "source": _SOURCE,
        "policy": optional(_POLICY),
        "verdict": optional(_NAME),
        "evaluation": optional(_EVALUATION),
        "scan": optional(_SCAN),
        "out": optional(_below),
        "bytes": optional(_COUNT),
        "url": optional(_PLACE),
        "reason": optional(_REASON),
        "warnings": listing(_SENTENCE, 1000),
        "members": _members,
        "seconds": _SECONDS,
        "cpu_seconds": _SECONDS,
        "fetched": optional(listing(_SECONDS, 2)),
        "finished": _NAME,
        "worker": _NAME,
        "sb3port": _NAME,
    }
)
_ITEM: Mapping[str, Check] = {
    "name": text(4096, "(?s:.+)", "a name"),
    "source": _PLACE,
    "dest": _below,
    "on_hub": FLAG,
    "filename": optional(_PLACE),
    "revision": optional(_NAME),
}
_TASK = record({"item": record(_ITEM), "attempt": integer(1, 2**53), "folder": _PLACE})
_KEPT = record({"task": _TASK, "record": _LINE})


def check_line(value: Any) -> None:
    """Check a line of a ledger, as it was parsed.

    Raises:
        ValueError: This version did not write it; with a sentence.
    """
    _LINE(value, "")
    if (value["status"] == Status.FAILED.value) != (value["reason"] is not None):
        raise Misfit("reason", value["reason"], "why it failed, of what failed alone,")
    if value["members"] and value["status"] != Status.SEVERAL.value:
        raise Misfit("members", value["members"], "an empty list")


def check_kept(value: Any) -> None:
    """Check what is left of an attempt: its task, and its line for the ledger, which must be of that.

    Raises:
        ValueError: It is something else; with a sentence.
    """
    _KEPT(value, "")
    task, line = value["task"], value["record"]
    check_line(line)
    item = task["item"]
    if (line["model"], line["attempt"]) != (item["name"], task["attempt"]):
        raise Misfit("record.model", line["model"], "the model of the task")
    if line["out"] not in (None, item["dest"]):
        raise Misfit("record.out", line["out"], "the place of the task")


def parse_line(raw: bytes, where: str) -> Any:
    """Parse a line by limits of its own: how many there may be is for the user to say.

    Raises:
        NotPortable: It is no JSON, or more than any line is.
    """
    with budget(1.0):
        spend(Cost.BYTES, len(raw), where)
        return parse_json(raw, where)
