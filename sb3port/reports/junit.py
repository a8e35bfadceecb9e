"""Reports as JUnit XML, as Jenkins, GitLab and GitHub's viewers read it: a suite per model, a case per check.

The numbers are properties of the suite, because the schema that Jenkins publishes knows none of a case, and
stand in each case's `system-out`.
"""

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as Xml

from sb3port.files.escaping import visible
from sb3port.reports.json_text import Report
from sb3port.reports.numbers import exact_text
from sb3port.reports.words import Check, counts_text, describe, headline, model_name, observation_of

_NUMBERS = ("count", "max_abs", "mean_abs", "max_rel", "max_ulp", "noise", "times_noise")
_FAILURES = ("fail", "inconclusive")


def render_junit(reports: Sequence[Report]) -> str:
    """Give reports as one JUnit file."""
    suites = [_suite(report) for report in reports]
    counted = ("tests", "failures", "errors")
    totals = {name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in counted}
    root = Xml.Element("testsuites", {"name": "sb3port", **totals, "time": "0"})
    root.extend(suites)
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _suite(report: Report) -> Xml.Element:
    cases = [_case(check, report) for check in report["checks"]]
    if report["verdict"] in _FAILURES and all(case.find("failure") is None for case in cases):
        cases.append(_verdict_case(report))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    suite = Xml.Element("testsuite", {"name": visible(model_name(report)), **counts, "time": "0"})
    properties = Xml.SubElement(suite, "properties")
    for key, value in _properties(report):
        Xml.SubElement(properties, "property", {"name": visible(key), "value": visible(value)})
    suite.extend(cases)
    return suite


def _case(check: Check, report: Report) -> Xml.Element:
    classname = visible(f"{model_name(report)}.{check['stage']}")
    case = Xml.Element("testcase", {"classname": classname, "name": visible(check["id"]), "time": "0"})
    outcome = _outcome(check)
    if outcome is not None:
        tag, message = outcome
        element = Xml.SubElement(case, tag, {"message": visible(message)})
        if tag == "failure":
            element.set("type", check["verdict"])
            element.text = visible(f"{check['id']}: {message}{_observation(check)}")
    facts = [("verdict", check["verdict"]), *_numbers(check)]
    Xml.SubElement(case, "system-out").text = "\n".join(f"{name}: {value}" for name, value in facts)
    return case


def _verdict_case(report: Report) -> Xml.Element:
    """Give a failed case for a report in which nothing was compared: no viewer shall show it as passed."""
    attributes = {"classname": visible(model_name(report)), "name": "verdict", "time": "0"}
    case = Xml.Element("testcase", attributes)
    message = {"message": headline(report), "type": report["verdict"]}
    Xml.SubElement(case, "failure", message).text = f"{headline(report)} {counts_text(report)}."
    return case


def _outcome(check: Check) -> tuple[str, str] | None:
    """Give the element that tells how a check ended, None where it passed."""
    if check["informational"]:
        return "skipped", f"informational: {describe(check)}"
    if check["verdict"] == "skipped":
        return "skipped", describe(check)
    return ("failure", describe(check)) if check["verdict"] in _FAILURES else None


def _observation(check: Check) -> str:
    return "".join(
        f"\nobservation{f' {key}' if key else ''}: [{', '.join(map(exact_text, values))}]"
        for key, values in observation_of(check).items()
    )


def _numbers(check: Check) -> Iterator[tuple[str, str]]:
    if check["count"]:
        yield from ((name, exact_text(check[name])) for name in _NUMBERS if check[name] is not None)


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "verdict", report["verdict"]
    yield from ((f"model.{key}", str(value)) for key, value in report["model"].items())
    source = report["source"]
    places = {key: source.get(key) for key in ("kind", "location", "revision", "sb3_version")}
    yield from ((f"source.{key}", str(value)) for key, value in places.items() if value)
    yield from ((f"source.{role}.sha256", file["sha256"]) for role, file in source["files"].items())
    yield from ((f"tolerance.{key}", exact_text(value)) for key, value in report["tolerance"].items())
    yield from ((f"environment.{key}", str(value)) for key, value in report["environment"].items())
    for check in report["checks"]:
        yield from ((f"{check['id']}.{name}", value) for name, value in _numbers(check))
