"""Reports as HTML: one file that needs nothing else, without scripts, for any screen and for paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from sb3port.files.texts.html import HtmlFile, html_environment, html_file
from sb3port.files.texts.names import FileName
from sb3port.reports import words
from sb3port.reports.json_text import Report
from sb3port.reports.numbers import count_text, exact_text, percent_text, size_text
from sb3port.reports.plots import Histogram, gauge_position, histogram
from sb3port.reports.residuals import Residuals, residuals
from sb3port.reports.words import VERDICTS, Check

_SQUARES = 120  # checks that are drawn as squares at the top
_TEMPLATES = Path(__file__).with_name("templates")
_CLASSES = {
    "bit-exact": "exact",
    "within noise": "near",
    "within atol": "near",
    "inconclusive": "unknown",
    "fail": "fail",
    "skipped": "skipped",
}


@dataclass(frozen=True)
class Plot:
    """The plots of one check."""

    check: Check
    histogram: Histogram | None
    residuals: Residuals | None


def render_html(report: Report) -> HtmlFile:
    """Give a report as one HTML page."""
    same, told = _split(report["checks"])
    tensors, wrong = _split(report["tensors"])
    return html_file(
        _environment(),
        "report.html.j2",
        report=report,
        told=_stages(told),
        same=_stages(same),
        same_count=len(same),
        map=_stages(report["checks"] if len(report["checks"]) <= _SQUARES else told[:_SQUARES]),
        places={check["id"]: index for index, check in enumerate(report["checks"], 1)},
        plots=_plots(report),
        tensors=tensors,
        wrong=wrong,
        against=words.AGAINST,
    )


def render_html_index(reports: Sequence[Report], links: Sequence[Sequence[FileName]]) -> HtmlFile:
    """Give one page that lists reports, the worst verdict first.

    Args:
        reports: The reports.
        links: For each the path of its own page, folder by folder; empty for none.
    """
    pages = {id(report): link for report, link in zip(reports, links, strict=True)}
    rows = [(report, pages[id(report)], words.worst_check(report)) for report in words.by_verdict(reports)]
    verdicts = [report["verdict"] for report in reports]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}
    title, verdict = words.index_title(reports), next(iter(counts))
    return html_file(_environment(), "index.html.j2", title=title, rows=rows, counts=counts, verdict=verdict)


def _split(rows: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Part what is bit-exact, which is folded, from the rest."""
    same = [row for row in rows if row["verdict"] == "bit-exact"]
    return same, [row for row in rows if row["verdict"] != "bit-exact"]


def _stages(checks: Sequence[Check]) -> dict[str, list[Check]]:
    """Group checks by stage, in the order in which they ran."""
    stages: dict[str, list[Check]] = {}
    for check in checks:
        stages.setdefault(check["stage"], []).append(check)
    return stages


def _plots(report: Report) -> dict[str, list[Plot]]:
    """Give the plots of outputs that are not bit-exact, the worst check of each first."""
    found: dict[str, list[Plot]] = {}
    for check in sorted(report["checks"], key=lambda check: VERDICTS.index(check["verdict"])):
        if check["verdict"] == "bit-exact":
            continue
        tolerance = words.tolerance_of(check, report)
        plot = Plot(check, histogram(check, tolerance), residuals(check, tolerance))
        if plot.histogram or plot.residuals:
            found.setdefault(f"{check['stage']}.{check['output']}", []).append(plot)
    return found


@cache
def _environment() -> Environment:
    environment = html_environment(_TEMPLATES)
    environment.filters.update(size=size_text, exact=exact_text, count=count_text, shape=words.shape_text)
    environment.filters.update(gauge=gauge_position, percent=percent_text, rows=_rows)
    environment.globals.update(words=words, classes=_CLASSES)
    return environment


def _rows(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give names and values of an object that anything may be in, as text."""
    for key, value in sorted(content.items()):
        if value not in (None, "", [], {}):
            yield key, str(value)
