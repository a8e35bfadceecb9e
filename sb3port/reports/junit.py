"""Reports as JUnit XML, as Jenkins, GitLab and GitHub's viewers read it: a suite per model, a case per check.

The numbers are properties of the suite, because the schema that Jenkins publishes knows none of a case, and
stand in each case's `system-out`.
"""

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from sb3port.files.texts.media import joined
from sb3port.files.texts.xml_text import XmlFile, XmlText, element, xml_file, xml_text
from sb3port.reports.json_text import Report
from sb3port.reports.numbers import exact_text
from sb3port.reports.words import (
    Check,
    cause_texts,
    counts_text,
    describe,
    headline,
    model_name,
    observation_of,
)

_NUMBERS = ("count", "max_abs", "limit", "mean_abs", "max_rel", "max_ulp", "noise", "times_noise")
_FAILURES = ("fail", "inconclusive")
_NO_TIME = xml_text("0")


def render_junit(reports: Sequence[Report]) -> XmlFile:
    """Give reports as one JUnit file."""
    suites = [_suite(report) for report in reports]
    counted = ("tests", "failures", "errors")
    totals = {name: xml_text("{}", sum(int(suite.attrib[name]) for suite in suites)) for name in counted}
    attributes = {"name": xml_text("sb3port"), **totals, "time": _NO_TIME}
    return xml_file(element("testsuites", attributes, suites))


def _suite(report: Report) -> Element:
    cases = [_case(check, report) for check in report["checks"]]
    if report["verdict"] in _FAILURES and all(case.find("failure") is None for case in cases):
        cases.append(_verdict_case(report))
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": 0,
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    attributes = {"name": model_name(report), **counts, "time": _NO_TIME}
    named = [
        {"name": xml_text("{}", key), "value": xml_text("{}", value)} for key, value in _properties(report)
    ]
    properties = element("properties", {}, [element("property", one) for one in named])
    texts = {name: xml_text("{}", value) for name, value in attributes.items()}
    return element("testsuite", texts, [properties, *cases])


def _case(check: Check, report: Report) -> Element:
    classname = xml_text("{}.{}", model_name(report), check["stage"])
    attributes = {"classname": classname, "name": xml_text("{}", check["id"]), "time": _NO_TIME}
    facts = [("verdict", check["verdict"]), *_numbers(check)]
    text = joined(XmlText, "\n", (xml_text("{}: {}", name, value) for name, value in facts))
    outcome = _outcome(check)
    children = [] if outcome is None else [_ended(check, *outcome, cause_texts(report))]
    return element("testcase", attributes, [*children, element("system-out", {}, text=text)])


def _ended(check: Check, tag: str, message: str, causes: Sequence[str]) -> Element:
    """Give the element that says how a check ended; of a failure the causes first."""
    attributes = {"message": xml_text("{}", message)}
    if tag != "failure":
        return element(tag, attributes)
    because = joined(XmlText, "", (xml_text("{}\n", cause) for cause in causes))
    text = xml_text("{}{}: {}{}", because, check["id"], message, _observation(check))
    return element(tag, {**attributes, "type": xml_text("{}", check["verdict"])}, text=text)


def _verdict_case(report: Report) -> Element:
    """Give a failed case for a report in which nothing was compared: no viewer shall show it as passed."""
    classname, sentence = xml_text("{}", model_name(report)), headline(report)
    message = {"message": xml_text("{}", sentence), "type": xml_text("{}", report["verdict"])}
    text = xml_text("{} {}.", sentence, counts_text(report))
    attributes = {"classname": classname, "name": xml_text("verdict"), "time": _NO_TIME}
    return element("testcase", attributes, [element("failure", message, text=text)])


def _outcome(check: Check) -> tuple[str, str] | None:
    """Give the element that tells how a check ended, None where it passed."""
    if check["informational"]:
        return "skipped", f"informational: {describe(check)}"
    if check["verdict"] == "skipped":
        return "skipped", describe(check)
    return ("failure", describe(check)) if check["verdict"] in _FAILURES else None


def _observation(check: Check) -> XmlText:
    rows = (
        xml_text("\nobservation{}: [{}]", f" {key}" if key else "", ", ".join(map(exact_text, values)))
        for key, values in observation_of(check).items()
    )
    return joined(XmlText, "", rows)


def _numbers(check: Check) -> Iterator[tuple[str, str]]:
    if check["count"]:
        yield from ((name, exact_text(check[name])) for name in _NUMBERS if check.get(name) is not None)


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "verdict", report["verdict"]
    yield from ((f"cause.{number}", text) for number, text in enumerate(cause_texts(report), 1))
    yield from ((f"model.{key}", str(value)) for key, value in report["model"].items())
    source = report["source"]
    places = {key: source.get(key) for key in ("kind", "location", "revision", "sb3_version")}
    yield from ((f"source.{key}", str(value)) for key, value in places.items() if value)
    yield from ((f"source.{role}.sha256", file["sha256"]) for role, file in source["files"].items())
    yield from ((f"tolerance.{key}", exact_text(value)) for key, value in report["tolerance"].items())
    yield from ((f"environment.{key}", str(value)) for key, value in report["environment"].items())
    for check in report["checks"]:
        yield from ((f"{check['id']}.{name}", value) for name, value in _numbers(check))
