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
from sb3port.reports.plots import Histogram, Scatter, gauge_position, histogram, scatter
from sb3port.reports.words import VERDICTS, Check

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
    scatter: Scatter | None


def render_html(report: Report) -> HtmlFile:
    """Give a report as one HTML page."""
    return html_file(
        _environment(),
        "report.html.j2",
        report=report,
        stages=_stages(report["checks"]),
        places={check["id"]: index for index, check in enumerate(report["checks"], 1)},
        plots=_plots(report),
        against=words.AGAINST,
    )


def render_html_index(reports: Sequence[Report], links: Sequence[FileName | None]) -> HtmlFile:
    """Give one page that lists reports, the worst verdict first.

    Args:
        reports: The reports.
        links: For each the name of its own page, or None.
    """
    pages = {id(report): link for report, link in zip(reports, links, strict=True)}
    rows = [(report, pages[id(report)], words.worst_check(report)) for report in words.by_verdict(reports)]
    verdicts = [report["verdict"] for report in reports]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}
    return html_file(_environment(), "index.html.j2", rows=rows, counts=counts, verdict=next(iter(counts)))


def _stages(checks: Sequence[Check]) -> dict[str, list[Check]]:
    """Group checks by stage, in the order in which they ran."""
    stages: dict[str, list[Check]] = {}
    for check in checks:
        stages.setdefault(check["stage"], []).append(check)
    return stages


def _plots(report: Report) -> dict[str, list[Plot]]:
    """Give the plots of every output, the worst check of each first."""
    found: dict[str, list[Plot]] = {}
    for check in sorted(report["checks"], key=lambda check: VERDICTS.index(check["verdict"])):
        tolerance = words.tolerance_of(check, report)
        plot = Plot(check, histogram(check, tolerance), scatter(check, tolerance))
        if plot.histogram or plot.scatter:
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
