"""A folder of results may be anyone's: a ledger that no bulk has written is told, and stays as it is."""

import csv
import json
import math
import os
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from sb3port.commands.bulk import work
from sb3port.commands.bulk.crew import Bounds
from sb3port.commands.bulk.job import Action, Item, Job, Task
from sb3port.commands.bulk.ledger import Ledger, read_ledger
from sb3port.commands.bulk.line_schema import LONGEST, check_line
from sb3port.commands.bulk.records import Reason, Status, failed, new_record
from sb3port.commands.bulk.report import write_report
from sb3port.commands.bulk.running import Plan, run
from sb3port.errors import UsageError
from tests.trees import changed, places

SCHEMA = json.loads(files("sb3port.commands.bulk").joinpath("ledger.schema.json").read_text())
JOB = Job(verify=False)
ITEM = Item("m", "m", "m")
EMPTY = new_record(Task(ITEM, 1, ""), JOB)
DONE = EMPTY | {
    "status": "done",
    "source": {
        "label": "m",
        "kind": "hub",
        "location": "org/m",
        "revision": "0" * 40,
        "checkpoint": "m.zip",
        "statistics": ["vec_normalize.pkl"],
    },
    "policy": {
        "algorithm": "PPO",
        "extractor": "FlattenExtractor",
        "sb3_version": "1.6.2",
        "era": "1.6",
        "env": "Pendulum-v1",
        "numbers": 7,
        "normalised": True,
        "sha256": {"checkpoint": "0" * 64},
    },
    "evaluation": {
        "env": "Pendulum-v1",
        "mean_return": -1.5,
        "standard_error": None,
        "standard_deviation": 0.5,
        "mean_length": 200.0,
        "episodes": 2,
    },
    "scan": {"files": 1, "counts": {"clean": 1}, "findings": ["nothing"]},
    "verdict": "clean",
    "out": "m",
    "bytes": 7,
    "url": "https://hub/m",
    "warnings": ["too much"],
    "fetched": [0.1, 0.1],
}
FAILED = failed(EMPTY, Reason.TIME, "late", "wait")
SEVERAL = EMPTY | {"status": Status.SEVERAL.value, "members": ["a.zip", "b.zip"]}
NASTY = "=cmd|'/c calc'!A1;\t@x<script>alert(1)</script>&\x1b[31m\u202e\ud800\x00]]>"
WRONG = (None, True, -1, 10**400, float("inf"), float("nan"), NASTY, [], [1], [[None]], {}, {"a": 1})


def line_of(record: Any) -> str:
    return f"{json.dumps(record)}\n"


def forged(out: Path, *records: Any) -> Path:
    out.mkdir(exist_ok=True)
    path = out / "ledger.jsonl"
    path.write_text("".join(map(line_of, records)))
    return path


def goes_on(out: Path) -> None:
    """Run on what is done already, so that nothing is to be done."""
    run(Plan(JOB, [Item("m", "m")], out, Bounds(1, 60.0, 1 << 30), False))
    write_report(out)


@pytest.mark.parametrize("record", [DONE, FAILED, SEVERAL], ids=["done", "failed", "several"])
def test_values_of_every_wrong_kind(record: Any, tmp_path: Path) -> None:
    """Each is refused in a sentence, or is one that the schema allows, and then shown."""
    check_line(record)
    shown = 0
    for place in places(record):
        for new in WRONG:
            forge = changed(record, place, new)
            try:
                check_line(forge)
            except ValueError:
                continue
            jsonschema.validate(forge, SCHEMA)
            path = forged(tmp_path / "out", {**forge, "model": "m", "options": JOB.options})
            if shown % 40 == 0:  # pages take time
                goes_on(path.parent)
            shown += 1
    assert shown > 20


@pytest.mark.parametrize("name", DONE)
def test_nothing_may_be_missing(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        check_line({key: value for key, value in DONE.items() if key != name})


@pytest.mark.parametrize(
    "out", ["../m", "/m", "a/../m", "a//b", "", ".bulk/m", "a/.b", "m\0", "\ud800", "a" * 5000], ids=range(10)
)
def test_places_elsewhere_are_no_places(out: str) -> None:
    with pytest.raises(ValueError, match="out is"):
        check_line({**DONE, "out": out})


@pytest.mark.parametrize("members", [["a", "a"], ["a/"], ["a//b"], ["./a"], [""]], ids=range(5))
def test_members_are_paths_and_each_is_there_once(members: list[str]) -> None:
    with pytest.raises(ValueError, match="members"):
        check_line({**SEVERAL, "members": members})


@pytest.mark.parametrize(
    "content",
    [
        b"notes of mine, without an end",
        b'{"mine": 1}',
        b'{"mine": 1}\n{"schema": "sb3port.bulk", "ver',
        b'{"schema": "sb3port.bulk", "version": 1, "torn": \x00\x00\n',
        line_of(DONE).encode() + b"mine",
        b"[" * 100_000 + b"\n",
        b"9" * 10_000 + b"\n",
        b"\xff\xfe\n",
        b"\n",
        line_of({**DONE, "version": 2}).encode(),
        line_of({**DONE, "version": True}).encode(),
        b'{"schema": "sb3port.bulk", "model": "' + b"m" * (LONGEST + 1),
    ],
    ids=range(12),
)
def test_what_is_not_ours_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    """Also its last line, which has no end, and nothing is put beside it."""
    (tmp_path / "ledger.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match=r"no record of sb3port bulk|newer sb3port"):
        goes_on(tmp_path)
    assert (tmp_path / "ledger.jsonl").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]


@pytest.mark.parametrize("torn", [b"", b'{"sche', line_of(DONE)[:300].encode(), b'{"schema"\0\0', b"\0\0"])
def test_the_last_line_is_cut_off_where_it_is_ours(torn: bytes, tmp_path: Path) -> None:
    path = forged(tmp_path, DONE)
    path.write_bytes(path.read_bytes() + torn)
    with Ledger(path) as ledger:
        assert len(list(ledger.records())) == 1
        ledger.append([FAILED])
        ledger.append([FAILED])
    assert [record["status"] for record in read_ledger(path)] == ["done", "failed", "failed"]


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "device"])
def test_ledgers_that_are_no_files(kind: str, tmp_path: Path) -> None:
    """A link could lead to any file of the user's, which would be written to."""
    theirs, path = tmp_path / "theirs", tmp_path / "out" / "ledger.jsonl"
    path.parent.mkdir()
    match kind:
        case "link":
            theirs.write_text("mine")
            path.symlink_to(theirs)
        case "dangling":
            path.symlink_to(theirs)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/full")
    for attempt in (lambda: goes_on(path.parent), lambda: write_report(path.parent)):
        with pytest.raises(UsageError, match=r"ledger\.jsonl"):
            attempt()
    assert not theirs.exists() or theirs.read_text() == "mine"
    assert theirs.exists() == (kind == "link")
    assert [entry.name for entry in path.parent.iterdir()] == ["ledger.jsonl"]


def test_many_lines_of_one_model(tmp_path: Path) -> None:
    forged(tmp_path, DONE, FAILED, DONE, DONE)
    goes_on(tmp_path)
    assert len((tmp_path / "index.csv").read_text().splitlines()) == 2


def test_members_of_members_have_no_end(tmp_path: Path) -> None:
    """Each is a line of its own, and none costs a level of our own calls."""
    names = ["/".join(["m", *["a"] * depth]) for depth in range(700)]
    forged(tmp_path, *({**SEVERAL, "model": name, "members": ["a"]} for name in names[:-1]), DONE)
    path = tmp_path / "ledger.jsonl"
    path.write_text(path.read_text().replace(line_of(DONE), line_of({**DONE, "model": names[-1]})))
    goes_on(tmp_path)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.found.append(tag)


def test_texts_stay_texts_in_what_is_shown(tmp_path: Path) -> None:
    policy = {**DONE["policy"], "algorithm": NASTY, "era": NASTY, "env": NASTY, "sb3_version": NASTY}
    nasty = DONE | {"model": NASTY, "policy": policy, "verdict": NASTY, "url": NASTY, "out": "=m"}
    broken = failed(EMPTY | {"model": f"a;{NASTY}"}, Reason.BUG, NASTY, NASTY, NASTY)
    forged(tmp_path, nasty, broken)
    write_report(tmp_path)
    page = (tmp_path / "index.html").read_text()
    plain = _Tags()
    plain.feed(page)
    assert plain.found.count("script") == 1
    assert "\x1b" not in page
    ElementTree.parse(tmp_path / "junit.xml")
    with (tmp_path / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            # Also where spreadsheets take `;` for what is between cells.
            cells = [cell for text in row.values() for cell in (text, *text.split(";"))]
            assert not any(cell.lstrip().startswith(("=", "+", "@")) for cell in cells)


def test_what_a_line_cannot_say_is_a_failure_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the whole ledger could not be read again."""

    def act(attempt: Any, _: Any) -> None:
        attempt.know(warnings=["x" * 100_000])

    monkeypatch.setitem(work._ACTIONS, Action.CONVERT, act)
    line = work.do(Task(ITEM, 1, str(tmp_path)), JOB)
    check_line(line)
    assert line["status"] == "failed"
    assert line["reason"]["sentence"].startswith("this is a bug in sb3port: it cannot note what came of it")


@pytest.mark.parametrize("value", [1.5, None, math.nan, math.inf])
def test_returns_that_are_no_numbers(value: float | None) -> None:
    told = work._finite(value)
    check_line(DONE | {"evaluation": DONE["evaluation"] | {"mean_return": told}})
    assert told == (1.5 if value == 1.5 else None)
