"""The report: its verdict, its JSON, and the checks that only another process can make."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sb3port.commands.policies import read_policy
from sb3port.commands.verify import VerifyOptions, run_checks
from sb3port.parity.checks.reload import FreshProcess
from sb3port.parity.comparison.compare import Comparison, Worst
from sb3port.parity.comparison.report import ORACLE, REFERENCE, SOURCE, Check, ParityReport
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.manifest import read_provenance
from sb3port.reports import words
from tests.conftest import FIXTURES, REPOSITORY
from tests.ports import port_of, verified
from tests.sabotage.wrong_ports import postprocessor

ERAS = REPOSITORY / "fixtures" / "eras"
EXACT, NOISE, FAIL = Verdict.BIT_EXACT, Verdict.WITHIN_NOISE, Verdict.FAIL
ATOL, INCONCLUSIVE, SKIPPED = Verdict.WITHIN_ATOL, Verdict.INCONCLUSIVE, Verdict.SKIPPED


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("report") / "port"
    port_of(FIXTURES / "ppo-Pendulum-v1", dest, verify=False)
    return dest


@pytest.fixture(scope="module")
def report(port: Path) -> ParityReport:
    return verified(port)


def judged(report: ParityReport, *verdicts: tuple[str, Verdict]) -> Verdict:
    checks = [Check("network", Comparison(verdict), against=against) for against, verdict in verdicts]
    return replace(report, checks=checks).verdict


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([(ORACLE, EXACT)], EXACT),
        ([(ORACLE, EXACT), (REFERENCE, NOISE)], EXACT),
        ([(ORACLE, EXACT), (REFERENCE, FAIL)], FAIL),
        ([(ORACLE, EXACT), (ORACLE, NOISE)], NOISE),
        ([(ORACLE, ATOL), (ORACLE, NOISE)], ATOL),
        ([(ORACLE, EXACT), (ORACLE, INCONCLUSIVE)], INCONCLUSIVE),
        ([(ORACLE, INCONCLUSIVE), (SOURCE, FAIL)], FAIL),
        ([(ORACLE, SKIPPED), (SOURCE, EXACT)], INCONCLUSIVE),
        ([(REFERENCE, EXACT), (SOURCE, EXACT)], INCONCLUSIVE),
        ([(ORACLE, EXACT), (ORACLE, SKIPPED)], EXACT),
        ([], INCONCLUSIVE),
    ],
)
def test_verdict(report: ParityReport, verdicts: list[tuple[str, Verdict]], whole: Verdict) -> None:
    assert judged(report, *verdicts) == whole


def test_behaviour_never_counts(report: ParityReport) -> None:
    told = Check("behaviour", Comparison(FAIL, max_abs=1e9), "return", informational=True)
    with_it = replace(report, checks=[*report.checks, told])
    assert with_it.verdict == "bit-exact"
    assert words.worst_check(with_it.to_json()) is None


def test_json_is_that_of_the_contract(report: ParityReport, port: Path) -> None:
    content = report.to_json()
    assert content == json.loads(json.dumps(content, allow_nan=False))
    assert (content["schema"], content["version"], content["verdict"]) == ("sb3port.parity", 1, "bit-exact")
    assert content["port"]["name"] == "port"
    assert set(content["port"]["files"]) >= {"config.json", "model.safetensors"}
    assert set(content["model"]) == {"algorithm", "observation_space", "action_space", "policy"}
    assert content["tolerance"] == {"floor": 1e-6, "noise_factor": 8, "atol": None}
    assert str(port.parent) not in json.dumps(content)
    ids = [check["id"] for check in content["checks"]]
    assert len(set(ids)) == len(ids)
    assert {"network.value:recorded", "network.value:reference", "network.value:edge"} <= set(ids)
    sets = {found["set"] for found in content["observations"]}
    for check in content["checks"]:
        assert check["observations"] in {None, *sets}
        assert len(check["pairs"]) <= 128
        if check["histogram"]:
            histogram = check["histogram"]
            numbers = histogram["zero"] + sum(histogram["counts"])
            assert numbers == max(check["count"], 1) * _product(check["shape"][1:])
            assert len(histogram["counts"]) == 28
    assert [row["name"] for row in content["tensors"]][:2] == ["log_std", "mlp_extractor.policy_net.0.weight"]
    assert "observation.state.mean" in {row["name"] for row in content["tensors"]}


def _product(numbers: list[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def test_equal_inputs_give_equal_bytes(report: ParityReport, port: Path) -> None:
    assert json.dumps(verified(port).to_json()) == json.dumps(report.to_json())


def test_numbers_that_json_lacks_are_words(report: ParityReport) -> None:
    worst = Worst((0,), float("nan"), float("-inf"), {"": [float("inf")]})
    broken = replace(report, checks=[Check("network", Comparison(FAIL, max_abs=float("nan"), worst=worst))])
    (check,) = broken.to_json()["checks"]
    assert (check["max_abs"], check["worst"]["reference"]) == ("nan", "nan")
    assert (check["worst"]["candidate"], check["worst"]["observation"]) == ("-inf", {"": ["inf"]})


def test_recurrent_policies_are_followed_step_by_step(tmp_path: Path) -> None:
    report = port_of(ERAS / "2.9.2/ppo_lstm-two-layers", tmp_path / "port").report
    assert report is not None
    outputs = {(check.output, check.observations) for check in report.checks if check.stage == "recurrent"}
    assert outputs == {
        (output, name)
        for output in ("final_states", "remembered_action", "remembered_value")
        for name in ("recorded", "edge")
    }


def test_what_another_process_loads_is_compared(port: Path, tmp_path: Path) -> None:
    """Two ports at once: a right one here, and a wrong one there, and one that cannot be loaded."""
    wrong, broken = tmp_path / "wrong", tmp_path / "broken"
    source = Path(read_provenance(port).location)
    checkpoint = read_policy(source)
    for folder in (wrong, broken):
        port_of(source, folder, verify=False)
    postprocessor(high=0.5)(wrong)
    (broken / "config.json").write_text("{}")
    found = {}
    for name, fresh in (("wrong", FreshProcess(wrong)), ("broken", FreshProcess(broken))):
        checked = run_checks(port, checkpoint, None, "port", VerifyOptions(), fresh=fresh)
        found[name] = {check.id: check for check in checked.checks if check.stage == "reload"}
        assert checked.verdict == "fail"
    assert {key: check.verdict for key, check in found["wrong"].items()} == {
        "reload.action:drawn": "fail",
        "reload.value:drawn": "bit-exact",
        "reload.log_prob:drawn": "bit-exact",
    }
    (failed,) = found["broken"].values()
    assert "a fresh process cannot load the port" in failed.comparison.reason
    assert "config.json" in failed.comparison.reason or "LeRobot" in failed.comparison.reason
