"""Reports of bulk runs: whatever strangers wrote stays text, and the page asks nobody for anything."""

import base64
import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import xmlschema

from sb3port.reports.bulk.csv_table import render_csv
from sb3port.reports.bulk.index import render_index
from sb3port.reports.bulk.junit import render_bulk_junit
from sb3port.reports.bulk.rows import by_likeness, row_of

NASTY = "org/\"><script>alert(1)</script>\u202e\x1b[31m&'=1+1"
SCRIPT = Path(__file__).parents[2] / "sb3port" / "reports" / "templates" / "bulk.js"


def record(model: str, status: str = "done", reason: str = "", **changed: Any) -> dict[str, Any]:
    told = {"kind": reason, "sentence": f"{model.rpartition('/')[2]} is damaged at byte 17", "hint": "again"}
    policy = {"algorithm": "PPO", "era": "1.6", "env": "Pendulum-v1"}
    return {
        "model": model,
        "attempt": 1,
        "status": status,
        "policy": policy if status == "done" else None,
        "verdict": "bit-exact" if status == "done" else None,
        "evaluation": None,
        "out": model if status == "done" else None,
        "url": None,
        "reason": told if reason else None,
        "members": [],
        "seconds": 0.25,
        **changed,
    }


RECORDS = [
    record("org/good"),
    record("org/bad-1.zip", "failed", "not portable"),
    record("org/bad-2.zip", "failed", "not portable"),
    record("org/slow", "failed", "time"),
    record(NASTY, "failed", "unsafe"),
    record("=HYPERLINK(1)", evaluation={"mean_return": -12.5}),
    record("org/many", "several", members=["a.zip", "b.zip"]),
]


class Page(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def test_the_page_runs_its_own_script_alone() -> None:
    page = render_index(RECORDS).text
    elements = Page(page).elements
    assert [attributes for tag, attributes in elements if tag == "script"] == [{}]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script == SCRIPT.read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    assert not any(name.startswith("on") for _, attributes in elements for name in attributes)
    for _, attributes in elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "./", "data:"))
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_the_page_has_what_it_filters_by() -> None:
    rows = [attributes for tag, attributes in Page(render_index(RECORDS).text).elements if tag == "tr"]
    models = [attributes for attributes in rows if "data-outcome" in attributes]
    assert len(models) == len(RECORDS)
    outcomes = {attributes["data-outcome"] for attributes in models}
    assert outcomes == {"bit-exact", "not portable", "time", "unsafe", "several"}
    assert {attributes["data-era"] for attributes in models} == {"1.6", ""}


def test_failures_that_are_alike_are_counted_together() -> None:
    alike = by_likeness(map(row_of, RECORDS))
    assert alike[0] == ("not portable", "… is damaged at byte #", 2)


def test_the_table_has_no_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(RECORDS).text)))
    assert [row["model"] for row in rows][-2:] == ["'=HYPERLINK(1)", "org/many"]
    assert rows[5]["mean_return"] == "-12.5"
    assert "\x1b" not in render_csv(RECORDS).text


def test_junit(tmp_path: Path) -> None:
    text = render_bulk_junit(RECORDS).text
    path = tmp_path / "junit.xml"
    path.write_text(text, encoding="utf-8")
    xmlschema.validate(str(path), str(Path(__file__).with_name("junit.xsd")))
    assert 'tests="7"' in text
    assert 'failures="3"' in text
    assert 'errors="1"' in text


@pytest.mark.parametrize("count", [0, 1])
def test_few_models(count: int) -> None:
    assert f"{count} model" in render_index(RECORDS[:count]).text
