"""Bulk runs as one HTML page that needs nothing else: sorted and filtered by a script of its own."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from sb3port.files.texts.html import HtmlFile, html_environment, html_file
from sb3port.reports.bulk.rows import Record, Row, by_likeness, counts, outcome, row_of
from sb3port.reports.numbers import percent_text

_TEMPLATES = Path(__file__).parents[1] / "templates"
_SCRIPT = _TEMPLATES / "bulk.js"
_CLASSES = {
    "bit-exact": "exact",
    "clean": "exact",
    "done": "exact",
    "within noise": "near",
    "own code": "near",
    "several": "skipped",
    "unreachable": "unknown",
    "needs an option": "unknown",
    "time": "unknown",
    "memory": "unknown",
}
_ORDER = ("exact", "near", "skipped", "unknown", "fail")
_FILTERS = ("algorithm", "era", "outcome", "env")
_MOST_ALIKE = 12
_MOST_ROWS = 20_000  # browsers grow slow


@dataclass(frozen=True)
class Share:
    """How many models ended in one way.

    Args:
        name: How.
        kind: The class of its colour.
        count: How many.
        share: Of all, from 0 to 1.
    """

    name: str
    kind: str
    count: int
    share: float


def render_index(records: Sequence[Record]) -> HtmlFile:
    """Give one page with a row for each record; of very many those first that failed."""
    rows = [row_of(record) for record in records]
    shown = rows if len(rows) <= _MOST_ROWS else sorted(rows, key=lambda row: row.status != "failed")
    return html_file(
        _environment(),
        "bulk.html.j2",
        rows=shown[:_MOST_ROWS],
        total=len(rows),
        done=sum(row.status == "done" for row in rows),
        failed=sum(row.status == "failed" for row in rows),
        seconds=sum(row.seconds for row in rows),
        shares=_shares(rows),
        alike=by_likeness(rows)[:_MOST_ALIKE],
        choices={name: _choices(rows, name) for name in _FILTERS},
        evaluated=any(row.mean_return is not None for row in rows),
        script_hash=base64.b64encode(hashlib.sha256(_SCRIPT.read_bytes()).digest()).decode("ascii"),
    )


def kind_of(name: str) -> str:
    """Give the class of the colour of an outcome."""
    return _CLASSES.get(name, "fail")


def _shares(rows: Sequence[Row]) -> list[Share]:
    found = [Share(name, kind_of(name), n, n / len(rows)) for name, n in counts(rows).most_common()]
    return sorted(found, key=lambda share: _ORDER.index(share.kind))


def _choices(rows: Sequence[Row], name: str) -> list[tuple[str, int]]:
    """List what a column holds, and how often; of very many the most frequent."""
    found: dict[str, int] = {}
    for row in rows:
        value = outcome(row) if name == "outcome" else str(getattr(row, name))
        found[value] = found.get(value, 0) + 1
    often = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:200]
    return sorted(often)


def link(path: str) -> str:
    """Give a path below the folder of the page as the address of a link, whatever is in it."""
    return "./" + quote(path, safe="/", errors="surrogateescape")


@cache
def _environment() -> Environment:
    environment = html_environment(_TEMPLATES)
    environment.filters.update(kind=kind_of, link=link, outcome=outcome, percent=percent_text)
    return environment
