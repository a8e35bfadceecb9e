"""The published schema, and the light check that stands for it: both say the same of any report."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sb3port.errors import BrokenReport, UsageError
from sb3port.reports.files import FILES, render
from sb3port.reports.json_text import canonical
from sb3port.reports.reading import read_report, schema
from sb3port.reports.shape import first_flaw

from . import examples

EXAMPLES = examples.every()
STRANGE = (None, True, -1, 1.5, "x", "inf", [], [1], {}, {"": [1]}, 10**400)


def _valid(report: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(report))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_valid(name: str) -> None:
    jsonschema.validate(EXAMPLES[name], schema())
    assert first_flaw(EXAMPLES[name], schema()) is None


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Walk over everything in a report, apart from all but the first items of a list."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, item in items:
        yield (*place, key)
        yield from _places(item, (*place, key))


def _mutants() -> Iterator[tuple[str, Any]]:
    original = {**EXAMPLES["of_dict"], "checks": EXAMPLES["of_dict"]["checks"][-1:]}
    for place in _places(original):
        for change in ("gone", *STRANGE):
            mutant = copy.deepcopy(original)
            parent = mutant
            for key in place[:-1]:
                parent = parent[key]
            if change == "gone":
                del parent[place[-1]]
            else:
                parent[place[-1]] = change
            yield f"{place} {change!r:.20}", mutant


def test_the_light_check_agrees_with_jsonschema() -> None:
    outcomes = {name: (_valid(mutant), first_flaw(mutant, schema()) is None) for name, mutant in _mutants()}
    assert [name for name, (full, light) in outcomes.items() if full != light] == []
    assert sum(not full for full, _ in outcomes.values()) > 300
    assert sum(full for full, _ in outcomes.values()) > 100


@pytest.mark.long
def test_whatever_is_valid_is_rendered() -> None:
    rendered = [
        len(render([canonical(mutant)], form).text)
        for _, mutant in _mutants()
        if _valid(mutant)
        for form in FILES
    ]
    assert len(rendered) > 400
    assert min(rendered) > 100


def test_flaws_are_named() -> None:
    report = EXAMPLES["good"]
    del (broken := copy.deepcopy(report))["checks"][3]["max_abs"]
    assert first_flaw(broken, schema()) == "checks[3].max_abs is absent"
    assert first_flaw({**report, "verdict": "great"}, schema()) == (
        "verdict is 'great', not 'bit-exact' or 'within noise' or 'within atol' or 'inconclusive' or 'fail'"
    )
    assert first_flaw({**report, "checks": {}}, schema()) == "checks is {}, no array"


def test_nan_and_infinity_of_other_writers_are_read(tmp_path: Path) -> None:
    report = examples.good()
    report["checks"][0].update(max_abs=float("inf"), mean_abs=float("nan"), noise=float("-inf"))
    (tmp_path / "parity.json").write_text(json.dumps(report))
    check = read_report(tmp_path)["checks"][0]
    assert (check["max_abs"], check["mean_abs"], check["noise"]) == ("inf", "nan", "-inf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("\xff", "cannot be read as JSON"),
        ("[]", "is not a parity report"),
        ('{"schema": "sb3port.diff", "version": 1}', "is not a parity report"),
        ('{"schema": "sb3port.parity"}', "of version None"),
        ('{"schema": "sb3port.parity", "version": 2}', "of version 2 of sb3port.parity, of which this"),
        ('{"schema": "sb3port.parity", "version": 1}', "is a damaged parity report: verdict is absent"),
    ],
)
def test_broken_reports_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "parity.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(BrokenReport) as refused:
        read_report(path)
    assert message in refused.value.message
    assert refused.value.message.startswith(str(path))
    assert "\n" not in refused.value.message


def test_absent_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_report(tmp_path)
