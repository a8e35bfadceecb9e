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
    cause_texts,
    counts_text,
    describe,
    finding,
    headline,
    index_title,
    model_name,
    observation_of,
    tolerance_of,
    tolerance_text,
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
_ROWS = 18
_CAUSES = 6
_NAMES = 20  # of checks on one line
_COLUMNS = ("check", "against", "verdict", "max diff", "limit", "ULP", "× noise", "count")
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
    parts = [title, *_causes(report), said, *_worst(report), *_tables(report), _provenance(report)]
    return joined(Markdown, "\n\n", parts)


def _causes(report: Report) -> Iterator[Markdown]:
    texts = cause_texts(report, _CAUSES)
    if len(texts) == 1:
        yield markdown("**Cause:** {}", *texts)
    elif texts:
        yield markdown("**Causes:**\n\n{}", bullets(markdown("{}", text) for text in texts))


def render_markdown_index(reports: Sequence[Report]) -> Markdown:
    """Give several reports as one table, the worst verdict first."""
    rows = [
        (
            code(model_name(report)),
            markdown("{}", algorithm_name(report)),
            _sign(report["verdict"]),
            markdown("{}", counts_text(report)),
            markdown("{}", finding(report)),
        )
        for report in by_verdict(reports)
    ]
    columns = [markdown("{}", name) for name in ("port", "algorithm", "verdict", "checks", "worst finding")]
    return markdown("## Parity: {}\n\n{}\n", index_title(reports), table(columns, rows))


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


def _tables(report: Report) -> Iterator[Markdown]:
    """Give a row per output and what it is compared with, over all sets of observations.

    What is bit-exact is folded to a line, which names it.
    """
    kinds: dict[tuple[str, ...], list[Check]] = {}
    for check in report["checks"]:
        kinds.setdefault((check["stage"], check["output"] or "", check["against"] or ""), []).append(check)
    told = [checks for checks in kinds.values() if _worst_verdict(checks) != "bit-exact"]
    same = [checks for checks in kinds.values() if _worst_verdict(checks) == "bit-exact"]
    if told:
        yield _table(told, report)
    for against in dict.fromkeys(checks[0]["against"] or "" for checks in same):
        yield _folded([checks for checks in same if (checks[0]["against"] or "") == against])


def _table(kinds: Sequence[Sequence[Check]], report: Report) -> Markdown:
    if len(kinds) <= _ROWS:
        return _lines([_row(checks, report) for checks in kinds])
    ranked = sorted(kinds, key=lambda checks: VERDICTS.index(_worst_verdict(checks)))
    shown = [_row(checks, report) for checks in ranked[: _ROWS - 1]]
    rest = [markdown("and {} more", len(kinds) - len(shown)), *[markdown("")] * (len(_COLUMNS) - 1)]
    return _lines([*shown, rest])


def _folded(kinds: Sequence[Sequence[Check]]) -> Markdown:
    """Name outputs that are bit-exact, and say how many numbers those are."""
    against = AGAINST.get(kinds[0][0]["against"], kinds[0][0]["against"] or "")
    names = joined(Markdown, ", ", map(_name, kinds[:_NAMES]))
    more = markdown(" and {} more", len(kinds) - _NAMES) if len(kinds) > _NAMES else markdown("")
    return markdown("{} against {}: {}{}", _sign("bit-exact"), against, names, more)


def _name(checks: Sequence[Check]) -> Markdown:
    return code(".".join(filter(None, (checks[0]["stage"], checks[0]["output"]))))


def _row(checks: Sequence[Check], report: Report) -> Sequence[Markdown]:
    first, verdict = checks[0], _worst_verdict(checks)
    against = AGAINST.get(first["against"], first["against"] or "")
    sign = _sign(verdict)
    sign = markdown("{} (informational)", sign) if first["informational"] else sign
    limits = [limit for check in checks if (limit := tolerance_of(check, report)) is not None]
    ulp, times_noise = (size_text(_largest(checks, field)) for field in ("max_ulp", "times_noise"))
    numbers = (size_text(_largest(checks, "max_abs")), size_text(max(limits, default=None)), ulp, times_noise)
    count = count_text(sum(check["count"] for check in checks) or None)
    return [_name(checks), *(markdown("{}", cell) for cell in (against, sign, *numbers, count))]


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
    read = [
        markdown("Source: {}{}, written by SB3 {}", code(source["location"]), revision, written),
        markdown("SHA-256: {}", joined(Markdown, ", ", files)),
    ]
    names = ("python", "torch", "stable-baselines3", "lerobot", "sb3port", "device")
    versions = [f"{name} {environment[name]}" for name in names if name in environment]
    lines = [
        *(read if files else ()),
        markdown("Observations: {}", joined(Markdown, "; ", sets) if sets else "none"),
        markdown("The verdict {}", rule),
        markdown("Environment: {}", ", ".join(versions) or "nothing was run"),
    ]
    return bullets(lines)
