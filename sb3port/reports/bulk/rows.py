"""What a record of a bulk run says, in words, for a row of a table or a case of a file for CI."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]

_NUMBER = re.compile(r"\d[\d,.]*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LONGEST = 160


@dataclass(frozen=True)
class Row:
    """One model.

    Args:
        model: Its name.
        status: "done", "failed" or "several".
        verdict: How it compares with its source, or what a scan says; empty where nobody has looked.
        algorithm: Empty where it is not known, as the following.
        era: The first two numbers of the SB3 version that saved it.
        env: The environment of its training.
        reason: Why it failed, in a word or two.
        sentence: The same in a sentence.
        hint: What to do about it.
        out: Where its result is, below the folder of all; empty for none.
        url: Where it was pushed to, empty for nowhere.
        mean_return: Of its evaluation.
        seconds: What the last attempt took.
        attempts: How many there were.
    """

    model: str
    status: str
    verdict: str
    algorithm: str
    era: str
    env: str
    reason: str
    sentence: str
    hint: str
    out: str
    url: str
    mean_return: float | None
    seconds: float
    attempts: int


def row_of(record: Record) -> Row:
    """Give the row of a record."""
    policy, reason = record["policy"] or {}, record["reason"] or {}
    return Row(
        record["model"],
        record["status"],
        record["verdict"] or "",
        policy.get("algorithm") or "",
        policy.get("era") or "",
        policy.get("env") or "",
        reason.get("kind") or "",
        reason.get("sentence") or _several(record["members"]),
        reason.get("hint") or "",
        record["out"] or "",
        record["url"] or "",
        (record["evaluation"] or {}).get("mean_return"),
        record["seconds"],
        record["attempt"],
    )


def _several(members: Sequence[str]) -> str:
    return f"it holds {len(members):,} checkpoints, each of which has a row of its own" if members else ""


def like(row: Row) -> str:
    """Give the sentence of a failure without what is of this model alone, so that others have the same."""
    text = row.sentence
    for name in sorted({row.model, *row.model.split("/"), *_stems(row.model)}, key=len, reverse=True):
        if len(name) > 2:
            text = text.replace(name, "…")
    return _NUMBER.sub("#", _QUOTED.sub("…", text))[:_LONGEST]


def _stems(model: str) -> list[str]:
    last = model.rpartition("/")[2]
    return [last.removesuffix(".zip"), f"{last}.zip"]


def by_likeness(rows: Iterable[Row]) -> list[tuple[str, str, int]]:
    """List the failures that are alike: the reason, the sentence, and how many there are; most first."""
    counted = Counter((row.reason, like(row)) for row in rows if row.reason)
    return [(reason, sentence, count) for (reason, sentence), count in counted.most_common()]


def counts(rows: Iterable[Row]) -> Counter[str]:
    """Count how models ended: by verdict where they were compared or scanned, else by status."""
    return Counter(outcome(row) for row in rows)


def outcome(row: Row) -> str:
    """Say in a word or two how a model ended."""
    return row.reason or (row.verdict if row.status == "done" else "") or row.status
