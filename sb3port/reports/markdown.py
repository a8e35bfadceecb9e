"""A report as GitHub's Markdown, at most 60 lines: for model cards and for the summary of a CI run."""

import math
from collections.abc import Iterator, Sequence

from sb3port.files.escaping import markdown_code, markdown_text
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
_NUMERIC = _COLUMNS[3:]


def render_markdown(report: Report, level: int = 2) -> str:
    """Give a report as Markdown.

    Args:
        report: The report.
        level: Of its heading.
    """
    verdict = report["verdict"]
    title = f"{'#' * level} {SIGNS[verdict]} {markdown_code(model_name(report))}: {verdict}"
    said = f"{headline(report)} {counts_text(report)}."
    return "\n\n".join([title, said, *_worst(report), _table(report), _provenance(report)]) + "\n"


def render_markdown_index(reports: Sequence[Report]) -> str:
    """Give several reports as one table, the worst verdict first."""
    rows = [
        (
            markdown_code(model_name(report)),
            markdown_text(algorithm_name(report)),
            _sign(report["verdict"]),
            counts_text(report),
            _worst_in_short(report),
        )
        for report in by_verdict(reports)
    ]
    columns = ("port", "algorithm", "verdict", "checks", "worst")
    return "\n".join(["## Parity", "", *_lines(columns, rows)]) + "\n"


def _worst_in_short(report: Report) -> str:
    worst = worst_check(report)
    return f"{markdown_code(worst['id'])}: {markdown_text(describe(worst))}" if worst else ""


def _worst(report: Report) -> Iterator[str]:
    for title, check in zip((worst_title(report), "Worst sample"), worst_checks(report), strict=False):
        yield f"**{title}:** {markdown_code(check['id'])}: {markdown_text(describe(check))}."
        yield from _observation(check)


def _observation(check: Check) -> Iterator[str]:
    for key, values in list(observation_of(check).items())[:4]:
        name = f" {markdown_code(key)}" if key else ""
        more = ", …" if len(values) > 16 else ""
        yield f"Its observation{name}: `[{', '.join(map(exact_text, values[:16]))}{more}]`"


def _table(report: Report) -> str:
    """Give a row per output and what it is compared with, over all sets of observations."""
    kinds: dict[tuple[str, ...], list[Check]] = {}
    for check in report["checks"]:
        kinds.setdefault((check["stage"], check["output"] or "", check["against"] or ""), []).append(check)
    rows = [_row(checks) for checks in kinds.values()]
    if len(rows) <= _ROWS:
        return "\n".join(_lines(_COLUMNS, rows))
    ranked = sorted(kinds.values(), key=lambda checks: VERDICTS.index(_worst_verdict(checks)))
    shown = [_row(checks) for checks in ranked[: _ROWS - 1]]
    rest = (f"and {len(rows) - len(shown)} more", *[""] * (len(_COLUMNS) - 1))
    return "\n".join(_lines(_COLUMNS, [*shown, rest]))


def _row(checks: Sequence[Check]) -> tuple[str, ...]:
    first, verdict = checks[0], _worst_verdict(checks)
    name = markdown_code(".".join(filter(None, (first["stage"], first["output"]))))
    against = markdown_text(AGAINST.get(first["against"], first["against"] or ""))
    informational = " (informational)" if first["informational"] else ""
    numbers = [size_text(_largest(checks, field)) for field in ("max_abs", "max_ulp", "noise", "times_noise")]
    count = count_text(sum(check["count"] for check in checks) or None)
    return (name, against, f"{_sign(verdict)}{informational}", *numbers, count)


def _worst_verdict(checks: Sequence[Check]) -> str:
    return min((str(check["verdict"]) for check in checks), key=VERDICTS.index)


def _largest(checks: Sequence[Check], field: str) -> float | None:
    """Give the largest number of a field in checks that compared something; NaN is larger than any."""
    ran = [check for check in checks if check["count"]]
    found = [value for check in ran if (value := maybe(check[field])) is not None]
    return max(found, key=lambda value: (math.isnan(value), value), default=None)


def _sign(verdict: str) -> str:
    return f"{SIGNS[verdict]} {verdict}"


def _lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---:' if column in _NUMERIC else '---' for column in columns)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _provenance(report: Report) -> str:
    source, environment = report["source"], report["environment"]
    revision = f" at {markdown_code(source['revision'])}" if source["revision"] else ""
    inputs = source["files"].values()
    files = [f"{markdown_code(file['name'])} {markdown_code(file['sha256'])}" for file in inputs]
    sets = [f"{count_text(one['count'])} {markdown_text(one['label'])}" for one in report["observations"]]
    names = ("python", "torch", "stable-baselines3", "lerobot", "sb3port", "device")
    versions = [f"{name} {environment[name]}" for name in names if name in environment]
    lines = [
        f"Source: {markdown_code(source['location'])}{revision}, written by SB3 "
        f"{markdown_text(source['sb3_version'] or 'before 0.9')}",
        f"SHA-256: {', '.join(files)}",
        f"Observations: {'; '.join(sets)}" if sets else "Observations: none",
        f"{tolerance_text(report)[0].upper()}{tolerance_text(report)[1:]}",
        f"Environment: {markdown_text(', '.join(versions))}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def card_section(report: Report) -> str:
    """Tell what a report says, for a model card: below a heading of the second level."""
    return render_markdown(report, level=3).strip()
