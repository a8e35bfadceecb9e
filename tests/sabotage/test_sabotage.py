"""Wrong ports, each made of a right one: verification must notice every one, in the check meant for it."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sb3port.errors import NotPortable, Unsafe
from sb3port.files.port_files import PORT_FILE
from sb3port.parity.comparison.report import Check, ParityReport
from sb3port.reports import words
from tests.conftest import FIXTURES, REPOSITORY
from tests.ports import port_of, verified
from tests.sabotage import wrong_ports as wrong
from tests.sabotage.wrong_ports import Sabotage, config, postprocessor, preprocessor, statistics, weights

SOURCES = {
    "pendulum": FIXTURES / "ppo-Pendulum-v1",  # gSDE, VecNormalize
    "cartpole": FIXTURES / "ppo-CartPole-v1",  # discrete actions
    "squashed": REPOSITORY / "fixtures/eras/2.3.2/ppo-gsde-squash",
    "gaussian": REPOSITORY / "fixtures/eras/2.9.2/ppo-box",
    "images": REPOSITORY / "fixtures/eras/2.9.2/ppo-cnn-rgb",
}


@dataclass(frozen=True)
class Case:
    """A wrong port.

    Args:
        sabotage: What is done to a right one.
        fails: The checks that fail, by the beginnings of their ids.
        holds: Some that do not, likewise: what is wrong is not everywhere.
        source: What the port is made of.
    """

    sabotage: Sabotage
    fails: tuple[str, ...]
    holds: tuple[str, ...] = ()
    source: str = "pendulum"


AROUND = ("integrity.files", "integrity.names", "tensors")
BEFORE = (*AROUND, "normaliser")
NETWORK = (*BEFORE, "network.mean", "network.value")
CASES = {
    "one weight's last bit flipped": Case(weights(wrong.flip_last_bit), ("tensors",), ("normaliser",)),
    "policy and value net swapped": Case(
        weights(wrong.swap_nets), ("tensors", "network.mean", "network.value", "action"), ("normaliser",)
    ),
    "a square weight transposed": Case(
        weights(wrong.transpose), ("tensors", "network.mean", "action"), ("network.value",)
    ),
    "the value's bias dropped": Case(
        weights(lambda t: t["value_net.bias"].fill(0)), ("tensors", "network.value"), ("network.mean",)
    ),
    "log_std off by 1e-3": Case(
        weights(lambda t: t["log_std"].__iadd__(np.float32(1e-3))),
        (
            "tensors",
            "network.log_std",
            "distribution.log_prob",
            "distribution.entropy",
            "distribution.sample",
        ),
        ("network.mean", "network.value", "action", "distribution.mode"),
    ),
    "two actions swapped": Case(
        weights(wrong.swap_logits), ("tensors", "network.logits", "action"), ("network.value",), "cartpole"
    ),
    "another mean of the observations": Case(
        statistics(lambda t: t["observation.state.mean"].__iadd__(0.01)), ("tensors", "normaliser"), ()
    ),
    "float32 statistics": Case(statistics(wrong.float32_statistics), ("tensors", "normaliser")),
    "epsilon outside the root": Case(statistics(wrong.epsilon_outside_the_root), ("tensors", "normaliser")),
    "another epsilon": Case(preprocessor(epsilon=1e-3), ("normaliser",), AROUND),
    "clipped at 5": Case(preprocessor(clip_obs=5.0), ("normaliser",), AROUND),
    "never clipped": Case(preprocessor(clip_obs=1e9), ("normaliser",), AROUND),
    "no normaliser": Case(wrong.without_normaliser, ("normaliser", "network.mean"), AROUND),
    "another activation": Case(
        config(activation_fn="ReLU"), ("network.mean", "network.value", "distribution.mode", "action"), BEFORE
    ),
    "expln for exp": Case(
        config(use_expln=True), ("distribution.log_prob", "distribution.sample"), (*NETWORK, "action")
    ),
    "action bounds off": Case(postprocessor(high=1.9), ("action",), (*NETWORK, "distribution")),
    "images not divided by 255": Case(
        config(normalize_images=False), ("network", "action"), BEFORE, "images"
    ),
}
# Processors with other steps than the policy needs are not even shown to LeRobot.
REFUSED_STEPS: dict[str, tuple[wrong.Sabotage, str]] = {
    "squashed": (config(squash_output=True), "pendulum"),
    "not squashed": (config(squash_output=False), "squashed"),
    "clipped, not unscaled": (wrong.clip_for_squash, "squashed"),
    "actions not clipped": (wrong.without_action_step, "gaussian"),
}
REFUSED = {
    "gSDE off": config(use_sde=False),
    "another width": config(net_arch={"pi": [64, 32], "vf": [64, 64]}),
    "a type that nobody knows": config(type="sac"),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine")
    for name, source in SOURCES.items():
        port_of(source, folder / name, verify=False)
    return folder


@pytest.fixture
def port(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine / "pendulum", tmp_path / "port"))


def among(report: ParityReport, prefix: str) -> list[Check]:
    found = [check for check in report.checks if check.id.startswith(prefix) and check.against != "reference"]
    assert found, prefix
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_right_ports_pass(name: str, pristine: Path) -> None:
    report = verified(pristine / name)
    assert report.holds(exact=True)
    for check in report.checks:
        if check.stage != "reload":
            allowed = {"bit-exact"} | ({"within noise"} if check.against == "reference" else set())
            assert check.verdict in allowed, check.id


@pytest.mark.parametrize("name", CASES)
def test_wrong_ports_are_noticed_where_they_are_wrong(name: str, pristine: Path, tmp_path: Path) -> None:
    case = CASES[name]
    port = Path(shutil.copytree(pristine / case.source, tmp_path / "port"))
    case.sabotage(port)
    report = verified(port)
    assert report.verdict == "fail"
    assert not report.holds(exact=True)
    for prefix in case.fails:
        failed = [check for check in among(report, prefix) if check.verdict == "fail"]
        assert failed, prefix
        for check in failed:
            assert_worst_is_told(check)
    for prefix in case.holds:
        assert {check.verdict for check in among(report, prefix)} == {"bit-exact"}, prefix


def assert_worst_is_told(check: Check) -> None:
    outcome = check.comparison
    assert outcome.worst is not None
    assert abs(outcome.worst.candidate - outcome.worst.reference) == pytest.approx(outcome.max_abs)
    assert outcome.max_abs >= outcome.mean_abs > 0
    assert bool(outcome.worst.observation) is (check.observations is not None)


@pytest.mark.parametrize("name", REFUSED)
def test_ports_that_cannot_be_loaded_are_refused(name: str, port: Path) -> None:
    REFUSED[name](port)
    with pytest.raises(NotPortable):
        verified(port)


@pytest.mark.parametrize("name", REFUSED_STEPS)
def test_ports_with_other_steps_are_refused(name: str, pristine: Path, tmp_path: Path) -> None:
    sabotage, source = REFUSED_STEPS[name]
    port = Path(shutil.copytree(pristine / source, tmp_path / "port"))
    sabotage(port)
    with pytest.raises(Unsafe, match=r"policy_postprocessor\.json is not what sb3port writes"):
        verified(port)


def test_statistics_that_are_gone(port: Path) -> None:
    (port / wrong.STATISTICS_FILE).unlink()
    wrong.record_files(port)
    report = verified(port)
    (names,) = among(report, "integrity.names")
    assert names.verdict == report.verdict == "fail"
    assert "observation.state.mean" in names.comparison.reason


@pytest.mark.parametrize("change", ["missing", "invented"])
def test_tensors_that_only_one_side_has(change: str, port: Path) -> None:
    def edit(tensors: wrong.Tensors) -> None:
        if change == "missing":
            del tensors["value_net.bias"]
        else:
            tensors["mlp_extractor.policy_net.4.weight"] = np.zeros(3, np.float32)

    wrong.edit_tensors(port, edit)
    report = verified(port)
    assert report.verdict == "fail"
    (names,) = among(report, "integrity.names")
    assert names.verdict == "fail"
    assert names.comparison.reason.startswith(f"{change} tensors: ")
    assert {check.verdict for check in among(report, "network")} == {"skipped"}
    worst = words.worst_check(report.to_json())
    assert worst is not None
    assert worst["id"] == "integrity.names"


@pytest.mark.parametrize("name", ["config.json", "training_state/training_step.json"])
def test_files_that_changed_since_the_conversion(name: str, port: Path) -> None:
    (port / name).write_bytes((port / name).read_bytes().replace(b": ", b" : ").replace(b'{"', b'{ "', 1))
    report = verified(port)
    (files,) = among(report, "integrity.files")
    assert files.verdict == report.verdict == "fail"
    assert files.comparison.reason == f"changed since the conversion: {name}"


def test_a_file_that_is_gone(port: Path) -> None:
    (port / "training_state" / "training_step.json").unlink()
    (files,) = among(verified(port), "integrity.files")
    assert files.verdict == "fail"
    assert files.comparison.reason == "missing: training_state/training_step.json"


def test_another_source_proves_nothing(port: Path) -> None:
    def other(content: dict[str, object]) -> None:
        content["source"]["files"]["checkpoint"]["sha256"] = "0" * 64  # type: ignore[index]

    wrong.edit_json(port, PORT_FILE, other)
    report = verified(port)
    assert report.verdict == "inconclusive"
    (source,) = among(report, "integrity.source")
    assert "ppo-Pendulum-v1.zip" in source.comparison.reason


def test_the_worst_case_is_named(port: Path) -> None:
    wrong.edit_tensors(port, lambda tensors: tensors["value_net.bias"].__iadd__(np.float32(3)))
    report = verified(port)
    worst = words.worst_check(report.to_json())
    assert worst is not None
    assert worst["id"] == "tensors"
    assert worst["reason"] == "value_net.bias differs by up to 3 at [0]"
    assert worst["max_abs"] == pytest.approx(3, rel=1e-5)
    (row,) = (row for row in report.tensors if row.verdict == "fail")
    assert (row.name, row.shape, row.dtype) == ("value_net.bias", (1,), "float32")


def test_the_worst_observation_is_the_one_that_gave_it(port: Path) -> None:
    postprocessor(high=0.5)(port)
    with np.load(SOURCES["pendulum"] / "reference.npz") as recorded:
        observations, actions = recorded["observation"], recorded["action"]
    (check,) = among(verified(port), "action.action:recorded")
    worst = check.comparison.worst
    assert worst is not None
    assert worst.reference == actions.max()
    assert worst.candidate == 0.5
    assert worst.observation == {"": observations[worst.index[0]].tolist()}
    assert actions[worst.index] == actions.max()


def test_one_flipped_bit_is_one_unit_in_the_last_place(port: Path) -> None:
    wrong.edit_tensors(port, wrong.flip_last_bit)
    (tensors,) = among(verified(port), "tensors")
    assert tensors.comparison.max_ulp == 1
    assert tensors.comparison.worst is not None
    assert tensors.comparison.worst.index == (11, 7)
    assert json.loads((port / PORT_FILE).read_text())["files"]
