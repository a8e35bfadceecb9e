"""What a report says, in words: its name, its verdict, its counts and its worst case."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sb3port.families.algorithms import display_name
from sb3port.reports.json_text import Report
from sb3port.reports.numbers import exact_text, maybe, number, size_text
from sb3port.reports.unread import is_unread

Check: TypeAlias = Mapping[str, Any]

# Worst first; a check that was skipped says less than one that passed, and is no flaw by itself.
VERDICTS = ("fail", "inconclusive", "skipped", "within atol", "within noise", "bit-exact")
HOLDING = VERDICTS[3:]
AGAINST = {"source": "the file", "oracle": "SB3 here", "reference": "recorded"}
_SENTENCES = {
    "bit-exact": "The port computes the same bits as SB3's own classes do in the same process.",
    "within noise": "The port computes what SB3's own classes compute, up to the noise of float32.",
    "within atol": "No difference is larger than what was allowed in place of the noise of float32.",
    "inconclusive": "Whether the port computes what its source computes cannot be told.",
    "fail": "The port does not compute what its source computes.",
}


def model_name(report: Report) -> str:
    """Name the port, or its source where the port has no name."""
    return str(report["port"]["name"] or report["source"]["location"] or "a port")


def algorithm_name(report: Report) -> str:
    """Give the algorithm as people write it, such as "MaskablePPO"."""
    return display_name(report["model"]["algorithm"])


def cause_texts(report: Report, most: int = 20) -> list[str]:
    """Say what explains a failure, a sentence for each cause; nothing where nothing does.

    Args:
        report: Of any version; older ones know no causes.
        most: How many sentences, the last of which says how many more there are.
    """
    texts = [str(cause["text"]) for cause in report.get("causes", ())]
    return texts if len(texts) <= most else [*texts[: most - 1], f"and {len(texts) - most + 1} more"]


def worst_title(report: Report) -> str:
    """Say what the worst check is: what went wrong, what is missing, or only the largest difference."""
    return {"fail": "Worst", "inconclusive": "Reason"}.get(report["verdict"], "Largest difference")


def headline(report: Report) -> str:
    """Say in one sentence what the verdict means."""
    return _SENTENCES[report["verdict"]]


def counted(report: Report) -> list[Check]:
    """Give the checks that the verdict counts."""
    return [check for check in report["checks"] if not check["informational"]]


def verdict_counts(report: Report) -> dict[str, int]:
    """Say how many counted checks ended how, worst first."""
    found = Counter(check["verdict"] for check in counted(report))
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def counts_text(report: Report) -> str:
    """Say the same as text: "1 fail, 12 bit-exact"."""
    return ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(report).items()) or "no checks"


def by_verdict(reports: Sequence[Report]) -> list[Report]:
    """Sort reports, the worst verdict first, then by name."""
    return sorted(reports, key=lambda report: (VERDICTS.index(report["verdict"]), model_name(report)))


def index_title(reports: Sequence[Report]) -> str:
    """Say how many of several reports have the worst verdict: "2 of 4 fail"; how many could not be read."""
    verdicts = [report["verdict"] for report in reports if not is_unread(report)]
    gone = f"{len(reports) - len(verdicts)} could not be read"
    if not verdicts:
        return gone
    worst = min(verdicts, key=VERDICTS.index)
    count = verdicts.count(worst)
    says = {"fail": "fails" if count == 1 else "fail"}.get(worst, f"{'is' if count == 1 else 'are'} {worst}")
    many = f"all {count}" if count == len(reports) > 1 else f"{count} of {len(reports)}"
    return f"{many} {says}" + (f", {gone}" if len(verdicts) < len(reports) else "")


def finding(report: Report) -> str:
    """Say what is wrong first of all: a cause where one was found, else the worst check, if any."""
    if texts := cause_texts(report):
        more = f", and {len(texts) - 1} more" if len(texts) > 1 else ""
        return f"{texts[0]}{more}"
    worst = worst_check(report)
    if worst is None:
        return ""
    # Sentences about the files name what they are about.
    return describe(worst) if worst["stage"] == "integrity" else f"{worst['id']}: {describe(worst)}"


def worst_check(report: Report) -> Check | None:
    """Give the counted check that went most wrong, None where all that ran are bit-exact.

    Of failed checks those of the files come first, the last one of them, which explains all that follow.
    """
    return next(iter(_flawed(report)), None)


def worst_checks(report: Report) -> list[Check]:
    """Give the worst check and, where it happened on no observation, the worst one that did."""
    worst = worst_check(report)
    if worst is None or observation_of(worst):
        return [worst] if worst else []
    return [worst, *[check for check in _flawed(report) if observation_of(check)][:1]]


def _flawed(report: Report) -> list[Check]:
    """Give the checks that are not bit-exact, the worst first."""
    found = [check for check in counted(report) if check["verdict"] not in ("bit-exact", "skipped")]
    places = {id(check): place for place, check in enumerate(found)}

    def goodness(check: Check) -> tuple[int, bool, float]:
        of_files = check["against"] == "source"
        size = places[id(check)] if of_files else _size(check)
        return VERDICTS.index(check["verdict"]), not of_files, -size

    return sorted(found, key=goodness)


def _size(check: Check) -> float:
    """Give a difference in units of what is allowed, or of the noise where a report says no more."""
    limit, largest = maybe(check.get("limit")), maybe(check["max_abs"]) or 0.0
    if limit is None:
        largest = largest if check["times_noise"] is None else number(check["times_noise"])
    elif largest:
        largest = largest / limit if limit else math.inf
    return math.inf if math.isnan(largest) else largest


def describe(check: Check) -> str:
    """Say in one sentence what a check found: why it ended so, or where the difference is largest.

    Of a failure that sentence ends with the limit.
    """
    worst = check["worst"]
    if check["reason"] or worst is None:
        return str(check["reason"]).rstrip(".") or str(check["verdict"])
    where = f" at [{', '.join(map(str, worst['index']))}]" if worst["index"] else ""
    expected, given = exact_text(worst["reference"]), exact_text(worst["candidate"])
    limit = check.get("limit") if check["verdict"] == "fail" else None
    return (
        f"largest difference {size_text(check['max_abs'])}{where}, "
        f"where {expected} was expected and the port gives {given}"
        + (f"; the limit is {size_text(limit)}" if limit is not None else "")
    )


def observation_of(check: Check) -> Mapping[str, Sequence[Any]]:
    """Give the observation of the worst case by key, "" where observations are no Dict; empty for none."""
    return (check["worst"] or {}).get("observation") or {}


def tolerance_of(check: Check, report: Report) -> float | None:
    """Give the largest difference that a check lets pass; None where no numbers were compared.

    Reports of older versions say it of the whole, and not of checks without noise.
    """
    if "limit" in check:
        return maybe(check["limit"])
    noise, rule = maybe(check["noise"]), report["tolerance"]
    if not noise or check["histogram"] is None:
        return None
    if rule.get("atol") is not None:
        return number(rule["atol"])
    return max(number(rule["floor"]), number(rule["noise_factor"]) * noise)


def tolerance_text(report: Report) -> str:
    """Say what counts as noise."""
    rule = report["tolerance"]
    if rule.get("atol") is not None:
        return f"within atol says that no difference is above {size_text(rule['atol'])}"
    floor, factor = size_text(rule["floor"]), exact_text(rule["noise_factor"])
    gap = "the oracle's own float32-against-float64 gap"
    return f"within noise says that no difference is above max({floor}, {factor} × {gap})"


def shape_text(shape: Sequence[int]) -> str:
    """Show a shape as NumPy's users write it: "64 × 3"."""
    return " × ".join(map(str, shape)) or "scalar"
