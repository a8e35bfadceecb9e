"""Reports as JUnit XML, against a schema of what its readers agree on."""

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema

from sb3port.reports.junit import render_junit
from sb3port.reports.words import HOLDING

from . import examples

EXAMPLES = examples.every()
SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))


def _cases(report: examples.Report) -> dict[str, Xml.Element]:
    return {
        case.attrib["name"]: case for case in Xml.fromstring(render_junit([report]).text).iter("testcase")
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_junit_and_stable(name: str) -> None:
    text = render_junit([EXAMPLES[name]]).text
    assert text == render_junit([examples.every()[name]]).text
    SCHEMA.validate(text)
    (suite,) = Xml.fromstring(text)
    counts = {key: int(suite.attrib[key]) for key in ("tests", "failures", "skipped")}
    assert counts["tests"] == len(list(suite.iter("testcase")))
    assert counts["failures"] == len(list(suite.iter("failure")))
    assert counts["skipped"] == len(list(suite.iter("skipped")))
    assert (counts["failures"] == 0) == (EXAMPLES[name]["verdict"] in HOLDING)


def test_a_case_per_check() -> None:
    report = EXAMPLES["failing"]
    cases = _cases(report)
    assert list(cases) == [check["id"] for check in report["checks"]]
    failed = cases["network.value:edge"].find("failure")
    assert failed is not None
    assert failed.attrib["type"] == "fail"
    assert failed.attrib["message"].startswith(
        "largest difference 0.31 at [41, 0], where -0.804193002 was expected"
    )
    assert "observation: [0.98, -0.19, 7.9]" in (failed.text or "")
    assert "max_abs: 0.31\n" in (cases["network.value:edge"].findtext("system-out") or "")
    assert cases["network.value:edge"].attrib["classname"] == "ppo-Pendulum-v1.network"
    assert cases["network.value:drawn"].find("failure") is None


def test_causes_come_first_in_every_failure() -> None:
    report = examples.explained()
    failed = [f for case in _cases(report).values() if (f := case.find("failure")) is not None]
    assert len(failed) == 2
    for failure in failed:
        assert (failure.text or "").startswith(
            "activation_fn: Tanh in the source, ReLU in the port\nconfig.json: changed since the conversion\n"
        )
    assert failed[1].attrib["message"].endswith("; the limit is 6.5e-6")
    (suite,) = Xml.fromstring(render_junit([report]).text)
    properties = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert properties["cause.1"] == "activation_fn: Tanh in the source, ReLU in the port"
    assert properties["network.value:edge.limit"] == "6.48e-6"


def test_numbers_are_properties() -> None:
    (suite,) = Xml.fromstring(render_junit([EXAMPLES["failing"]]).text)
    properties = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert properties["verdict"] == "fail"
    assert properties["network.value:edge.max_abs"] == "0.31"
    assert properties["network.value:edge.noise"] == "8.1e-7"
    assert properties["source.checkpoint.sha256"] == examples.SHA
    assert properties["environment.torch"] == "2.11.0"


def test_skipped_and_informational_checks_are_skipped() -> None:
    report = examples.good()
    failed = {**examples.output_check("behaviour.return:drawn", 1.0, 1), "informational": True}
    report["checks"].append(failed)
    assert _cases(report)["behaviour.return:drawn"].find("skipped") is not None
    reason = _cases(EXAMPLES["inconclusive"])["network.value"].find("skipped")
    assert reason is not None
    assert reason.attrib["message"] == "there is no oracle"


def test_nothing_compared_is_no_success() -> None:
    cases = _cases(EXAMPLES["nothing_ran"])
    assert list(cases) == ["network.value", "verdict"]
    failed = cases["verdict"].find("failure")
    assert failed is not None
    assert failed.attrib["type"] == "inconclusive"
    assert list(_cases(EXAMPLES["inconclusive"])) == [c["id"] for c in EXAMPLES["inconclusive"]["checks"]]


def test_several_suites() -> None:
    text = render_junit([EXAMPLES["good"], EXAMPLES["failing"]]).text
    SCHEMA.validate(text)
    root = Xml.fromstring(text)
    assert len(root) == 2
    assert int(root.attrib["tests"]) == sum(len(EXAMPLES[name]["checks"]) for name in ("good", "failing"))
    assert root.attrib["failures"] == "2"
