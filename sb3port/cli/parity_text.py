"""How parity reports look on a terminal: one report as a table of its checks, several as an index."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from sb3port.cli.output import Output
from sb3port.files.texts.terminal import Style, TerminalText, shown, shown_rows, styled, together
from sb3port.reports import words
from sb3port.reports.json_text import Report
from sb3port.reports.numbers import maybe, percent_text, size_text
from sb3port.reports.unread import is_unread
from sb3port.reports.words import VERDICTS, Check

_Row: TypeAlias = Mapping[str, object]

_COLOURS: dict[str, Style] = {
    "bit-exact": "green",
    "within noise": "cyan",
    "fail": "bold red",
    "skipped": "dim",
}
# Stages that are named beside their output, which alone would say too little.
_NAMED = ("integrity", "reload", "behaviour", "tensors", "update")
_NAMES = 12  # of outputs that are folded to one row
_SUBJECTS = {"integrity.files": "file", "tensors": "tensors"}


def print_report(output: Output, report: Report, but: str, tell_worst: bool) -> None:
    """Print a report: a row for each output that is not bit-exact, then the verdict and its causes.

    Args:
        output: Where to print; with details, there is a row for each check.
        report: What was compared.
        but: Said behind the verdict.
        tell_worst: Whether to name the worst check.
    """
    rows = [_details(check, report) for check in report["checks"]] if output.verbose else [*_folded(report)]
    _print_table(output, rows)
    output.line()
    fields: dict[str, object] = {**_observations(report), "verdict": f"{report['verdict']}{but}"}
    if causes := words.cause_texts(report):
        fields["cause"] = together("\n", causes)
    if tell_worst and (worst := words.worst_check(report)) is not None:
        fields["worst"] = f"{worst['id']}: {words.describe(worst)}"
    output.fields(shown_rows({**fields, **_told(output, report)}))


def print_index(output: Output, reports: Sequence[Report], fields: Mapping[str, object]) -> None:
    """Print a row for each report, how many have the worst verdict, and other fields."""
    rows = [
        {
            "port": words.model_name(report),
            "verdict": _coloured("not read" if is_unread(report) else report["verdict"]),
            "worst finding": words.finding(report),
        }
        for report in reports
    ]
    _print_table(output, rows)
    output.line()
    output.fields(shown_rows({"ports": words.index_title(reports), **fields}))


def _print_table(output: Output, rows: Sequence[_Row]) -> None:
    """Print rows without the columns in which none of them has anything."""
    columns = dict.fromkeys(key for row in rows for key in row)
    names = [name for name in columns if any(str(row.get(name, "")) for row in rows)]
    cells = [[shown(row.get(name, "")) for name in names] for row in rows]
    output.table([shown(name) for name in names], cells)


def _folded(report: Report) -> Iterator[_Row]:
    """Give a row for each output, the worst of all observations; those that are bit-exact share one."""
    found: dict[tuple[str, str, str], list[Check]] = {}
    for check in report["checks"]:
        found.setdefault((check["against"] or "", check["stage"], check["output"] or ""), []).append(check)
    worst = [min(checks, key=_goodness) for checks in found.values()]
    for group in dict.fromkeys(map(_group, worst)):
        here = [check for check in worst if _group(check) == group]
        if same := [check for check in here if check["verdict"] == "bit-exact"]:
            yield {**_row(same[0], report), "what": _names(same)}
        yield from (_row(check, report) for check in here if check["verdict"] != "bit-exact")


def _group(check: Check) -> tuple[str, bool]:
    """What shares a row: it is another process that loads a port again."""
    return check["against"] or "", check["stage"] == "reload"


def _goodness(check: Check) -> tuple[int, float]:
    return VERDICTS.index(check["verdict"]), -(maybe(check["max_abs"]) or 0.0)


def _names(checks: Sequence[Check]) -> str:
    """Name the first few outputs, a stage only once."""
    names, stage = [], ""
    for check in checks[:_NAMES]:
        names.append(_what(check).removeprefix(f"{stage} "))
        stage = check["stage"]
    more = f" and {len(checks) - _NAMES} more" if len(checks) > _NAMES else ""
    return f"{', '.join(names)}{more}"


def _row(check: Check, report: Report) -> _Row:
    compared = bool(check["shape"])
    limit = words.tolerance_of(check, report)
    return {
        "against": words.AGAINST.get(check["against"], check["against"] or ""),
        "what": f"{_what(check)}{_subject(check, report)}",
        "verdict": _coloured(check["verdict"]),
        "max diff": size_text(check["max_abs"]) if compared and limit is not None else "",
        "limit": size_text(limit) if check["verdict"] != "bit-exact" else "",
        "ULP": size_text(check["max_ulp"]) if check["verdict"] != "bit-exact" else "",
    }


def _details(check: Check, report: Report) -> _Row:
    limit = words.tolerance_of(check, report)
    return {
        **_row(check, report),
        "limit": size_text(limit),
        "ULP": size_text(check["max_ulp"]),
        "noise": size_text(check["noise"]),
        "mean diff": size_text(check["mean_abs"]) if limit is not None else "",
        "relative": size_text(check["max_rel"]) if limit is not None else "",
        "× noise": size_text(check["times_noise"]),
        "on": check["observations"] or "",
    }


def _what(check: Check) -> str:
    """Name what is compared; the stage only where the output does not tell it."""
    output = (check["output"] or "").replace("_", " ")
    alone = check["stage"] in _NAMED or not output
    return f"{check['stage']} {output}".rstrip() if alone else output


def _subject(check: Check, report: Report) -> str:
    """Name the files that changed, and the tensor that differs."""
    kind = _SUBJECTS.get(check["id"]) if check["verdict"] == "fail" else None
    names = [c["name"] for c in report.get("causes", ()) if c["kind"] == kind and c["name"]]
    more = ", …" if names[2:] else ""
    return f": {', '.join(names[:2])}{more}" if names else ""


def _coloured(verdict: str) -> TerminalText:
    return styled(_COLOURS.get(verdict, "bold yellow"), "{}", verdict)


def _observations(report: Report) -> dict[str, str]:
    """Say what outputs were compared on, and how much of it was clipped."""
    sets = report["observations"]
    if not sum(one["count"] for one in sets):
        return {}
    clipped = [one for one in sets if one["clipped_share"] is not None]
    shares = ", ".join(f"{percent_text(one['clipped_share'])} of {one['set']}" for one in clipped)
    label = ", ".join(f"{one['count']:,} {one['label']}" for one in sets)
    return {"observations": label, **({"clipped": f"{shares} numbers"} if clipped else {})}


def _told(output: Output, report: Report) -> dict[str, str]:
    """Say what informational checks tell; with details, why others were skipped."""
    return {
        check["stage"]: check["reason"]
        for check in report["checks"]
        if check["informational"] or (output.verbose and check["verdict"] == "skipped")
    }
