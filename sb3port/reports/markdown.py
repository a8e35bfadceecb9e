"""A report as GitHub's Markdown, at most 60 lines: for model cards and for the summary of a CI run."""

import math
from collections.abc import Iterator, Sequence

from sb3port.files.texts.markdown import Markdown, bullets, code, markdown, table
from sb3port.files.texts.media import joined
from sb3port.reports.json_text import Report
from sb3port.reports.numbers import count_text, exact_text, maybe, size_text
from sb3port.reports.words import (
    AGAINST,
    VERDICTS,
    Check,
    algorithm_name,
    by_verdict,
    counts_text,
    describe,
    headline,
    model_name,
    observation_of,
    tolerance_text,
    worst_check,
    worst_checks,
    worst_title,
)

SIGNS = {
    "bit-exact": "✅",
    "within noise": "☑️",
    "within atol": "☑️",
    "inconclusive": "⚠️",
    "fail": "❌",
    "skipped": "⏭️",
}
_ROWS = 36
_COLUMNS = ("check", "against", "verdict", "max diff", "ULP", "noise", "× noise", "count")
_NUMERIC = range(3, len(_COLUMNS))


def render_markdown(report: Report) -> Markdown:
    """Give a report as Markdown."""
    return markdown("## {}\n", _titled(report))


def card_section(report: Report) -> Markdown:
    """Tell what a report says, for a model card: below a heading of the second level."""
    return markdown("### {}", _titled(report))


def _titled(report: Report) -> Markdown:
    """Give all but the signs that make a heading of the first line."""
    verdict = report["verdict"]
    title = markdown("{} {}: {}", SIGNS[verdict], code(model_name(report)), verdict)
    said = markdown("{} {}.", headline(report), counts_text(report))
    parts = [title, said, *_worst(report), _table(report), _provenance(report)]
    return joined(Markdown, "\n\n", parts)


def render_markdown_index(reports: Sequence[Report]) -> Markdown:
    """Give several reports as one table, the worst verdict first."""
    rows = [
        (
            code(model_name(report)),
            markdown("{}", algorithm_name(report)),
            _sign(report["verdict"]),
            markdown("{}", counts_text(report)),
            _worst_in_short(report),
        )
        for report in by_verdict(reports)
    ]
    columns = [markdown("{}", name) for name in ("port", "algorithm", "verdict", "checks", "worst")]
    return markdown("## Parity\n\n{}\n", table(columns, rows))


def _worst_in_short(report: Report) -> Markdown:
    worst = worst_check(report)
    return markdown("{}: {}", code(worst["id"]), describe(worst)) if worst else markdown("")


def _worst(report: Report) -> Iterator[Markdown]:
    for title, check in zip((worst_title(report), "Worst sample"), worst_checks(report), strict=False):
        yield markdown("**{}:** {}: {}.", title, code(check["id"]), describe(check))
        yield from _observation(check)


def _observation(check: Check) -> Iterator[Markdown]:
    for key, values in list(observation_of(check).items())[:4]:
        name = markdown(" {}", code(key)) if key else markdown("")
        more = ", …" if len(values) > 16 else ""
        numbers = code(f"[{', '.join(map(exact_text, values[:16]))}{more}]")
        yield markdown("Its observation{}: {}", name, numbers)


def _table(report: Report) -> Markdown:
    """Give a row per output and what it is compared with, over all sets of observations."""
    kinds: dict[tuple[str, ...], list[Check]] = {}
    for check in report["checks"]:
        kinds.setdefault((check["stage"], check["output"] or "", check["against"] or ""), []).append(check)
    rows = [_row(checks) for checks in kinds.values()]
    if len(rows) <= _ROWS:
        return _lines(rows)
    ranked = sorted(kinds.values(), key=lambda checks: VERDICTS.index(_worst_verdict(checks)))
    shown = [_row(checks) for checks in ranked[: _ROWS - 1]]
    rest = [markdown("and {} more", len(rows) - len(shown)), *[markdown("")] * (len(_COLUMNS) - 1)]
    return _lines([*shown, rest])


def _row(checks: Sequence[Check]) -> Sequence[Markdown]:
    first, verdict = checks[0], _worst_verdict(checks)
    name = code(".".join(filter(None, (first["stage"], first["output"]))))
    against = AGAINST.get(first["against"], first["against"] or "")
    sign = _sign(verdict)
    sign = markdown("{} (informational)", sign) if first["informational"] else sign
    numbers = [size_text(_largest(checks, field)) for field in ("max_abs", "max_ulp", "noise", "times_noise")]
    count = count_text(sum(check["count"] for check in checks) or None)
    return [name, *(markdown("{}", cell) for cell in (against, sign, *numbers, count))]


def _worst_verdict(checks: Sequence[Check]) -> str:
    return min((str(check["verdict"]) for check in checks), key=VERDICTS.index)


def _largest(checks: Sequence[Check], field: str) -> float | None:
    """Give the largest number of a field in checks that compared something; NaN is larger than any."""
    ran = [check for check in checks if check["count"]]
    found = [value for check in ran if (value := maybe(check[field])) is not None]
    return max(found, key=lambda value: (math.isnan(value), value), default=None)


def _sign(verdict: str) -> Markdown:
    return markdown("{} {}", SIGNS[verdict], verdict)


def _lines(rows: Sequence[Sequence[Markdown]]) -> Markdown:
    return table([markdown("{}", column) for column in _COLUMNS], rows, _NUMERIC)


def _provenance(report: Report) -> Markdown:
    source, environment = report["source"], report["environment"]
    revision = markdown(" at {}", code(source["revision"])) if source["revision"] else markdown("")
    inputs = source["files"].values()
    files = [markdown("{} {}", code(file["name"]), code(file["sha256"])) for file in inputs]
    sets = [markdown("{} {}", count_text(one["count"]), one["label"]) for one in report["observations"]]
    rule, written = tolerance_text(report), source["sb3_version"] or "before 0.9"
    names = ("python", "torch", "stable-baselines3", "lerobot", "sb3port", "device")
    versions = [f"{name} {environment[name]}" for name in names if name in environment]
    lines = [
        markdown("Source: {}{}, written by SB3 {}", code(source["location"]), revision, written),
        markdown("SHA-256: {}", joined(Markdown, ", ", files)),
        markdown("Observations: {}", joined(Markdown, "; ", sets) if sets else "none"),
        markdown("{}", f"{rule[0].upper()}{rule[1:]}"),
        markdown("Environment: {}", ", ".join(versions)),
    ]
    return bullets(lines)
