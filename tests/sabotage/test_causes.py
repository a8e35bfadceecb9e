"""Wrong ports whose cause is named: what was read from the source, and what was read from the port."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sb3port.commands.policies import read_policy
from sb3port.networks.actor_critic import ActorCritic
from sb3port.parity.checks.causes import causes as explained
from sb3port.parity.comparison.compare import Comparison
from sb3port.parity.comparison.report import Check
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.difference import deviations
from sb3port.ports.lerobot_folder import read_running
from sb3port.ports.unchanged import Changes
from tests.conftest import FIXTURES, REPOSITORY
from tests.ports import port_of, verified
from tests.sabotage import wrong_ports as wrong
from tests.sabotage.wrong_ports import Sabotage, config, edit_json, postprocessor, preprocessor, weights

PENDULUM = FIXTURES / "ppo-Pendulum-v1"
ERAS = REPOSITORY / "fixtures/eras"
# What is read from a port is what its source says, of every kind of policy.
RIGHT = (
    PENDULUM,
    FIXTURES / "ppo-CartPole-v1",
    ERAS / "1.0/a2c-discrete-observation",
    ERAS / "1.8.0/ppo_mask-multidiscrete",
    ERAS / "2.3.2/ppo-gsde-squash",
    ERAS / "2.9.2/ppo-cnn-rgb",
    ERAS / "2.9.2/ppo-dict-unsorted",
    ERAS / "2.9.2/ppo_lstm-two-layers",
)
# What is done to a port, and all that is told of it.
CASES: dict[str, tuple[Sabotage, str]] = {
    "another activation": (
        config(activation_fn="ReLU"),
        "activation_fn: Tanh in the source, ReLU in the port",
    ),
    "expln for exp": (config(use_expln=True), "use_expln: false in the source, true in the port"),
    "clipped at 5": (
        preprocessor(clip_obs=5.0),
        "VecNormalize.clip_obs: 10.0 in the source, 5.0 in the port",
    ),
    "another epsilon": (
        preprocessor(epsilon=1e-3),
        "VecNormalize.epsilon: 1e-08 in the source, 0.001 in the port",
    ),
    "no normaliser": (wrong.without_normaliser, "VecNormalize: present in the source, absent in the port"),
    "action bounds": (
        postprocessor(high=1.9),
        "action_space.high: 2.0 in the source, 1.9 in the port",
    ),
    "one weight": (
        weights(lambda tensors: tensors["value_net.bias"].__iadd__(np.float32(3))),
        "tensors: value_net.bias differs by up to 3 at [0]",
    ),
    "statistics": (
        wrong.statistics(lambda tensors: tensors["observation.state.mean"].__iadd__(0.01)),
        "tensors: observation.state.mean differs by up to 0.01 at [0]",
    ),
    "a tensor that is gone": (
        weights(lambda tensors: tensors.pop("value_net.bias")),
        "missing tensors: value_net.bias",
    ),
}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "port"
    port_of(PENDULUM, folder, verify=False)
    return folder


@pytest.fixture
def port(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "port"))


def causes(port: Path, **options: object) -> list[str]:
    return [cause["text"] for cause in verified(port, **options).to_json()["causes"]]


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named_and_nothing_else(name: str, port: Path) -> None:
    sabotage, text = CASES[name]
    sabotage(port)
    assert causes(port) == [text]


def test_a_cause_has_parts_for_programs(port: Path) -> None:
    config(activation_fn="ReLU")(port)
    (cause,) = verified(port).to_json()["causes"]
    text = "activation_fn: Tanh in the source, ReLU in the port"
    told = {"kind": "setting", "name": "activation_fn", "source": "Tanh", "port": "ReLU", "text": text}
    assert cause == told


def test_a_file_that_changed_is_named_after_the_setting_in_it(port: Path) -> None:
    content = json.loads((port / "config.json").read_text())
    (port / "config.json").write_text(json.dumps({**content, "activation_fn": "ReLU"}))
    (port / "training_state/training_step.json").unlink()
    assert causes(port) == [
        "activation_fn: Tanh in the source, ReLU in the port",
        "config.json: changed since the conversion",
        "training_state/training_step.json: missing since the conversion",
    ]


def test_of_many_bounds_the_one_that_differs_is_named(port: Path) -> None:
    def other(content: dict[str, dict[str, list[float]]]) -> None:
        content["observation_space"]["low"][2] = -7.0

    edit_json(port, "config.json", other)
    config(activation_fn="ReLU")(port)
    assert "observation_space.low[2]: -8.0 in the source, -7.0 in the port" in causes(port)


def test_what_has_no_consequence_is_no_cause(port: Path) -> None:
    config(ortho_init=False, log_std_init=-2.0, activation_fn="ReLU")(port)
    assert causes(port) == ["activation_fn: Tanh in the source, ReLU in the port"]


def test_many_causes_are_counted(port: Path) -> None:
    gone = [f"file-{number}" for number in range(300)]
    failed = Check("network", Comparison(Verdict.FAIL), "value")
    found = explained(read_policy(PENDULUM), port, [failed], (), Changes(300, {}, gone))
    assert [cause.text for cause in found][-2:] == [
        "file-4: missing since the conversion",
        "295 more files are not as the conversion wrote them",
    ]


def test_nothing_is_guessed(port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of recorded outputs that are wrong, nor where it is the code that is."""
    with np.load(PENDULUM / "reference.npz") as archive:
        arrays = dict(archive)
    arrays["value"][7] += 0.01
    np.savez(tmp_path / "wrong.npz", **arrays)
    assert causes(port, observations=(str(tmp_path / "wrong.npz"),)) == []
    evaluate = ActorCritic.evaluate_actions

    def off(self: ActorCritic, *arguments: object) -> tuple[object, ...]:
        values, *others = evaluate(self, *arguments)  # type: ignore[arg-type]
        return values + 1, *others

    monkeypatch.setattr(ActorCritic, "evaluate_actions", off)
    report = verified(port)
    assert (report.verdict, report.causes) == ("fail", ())


@pytest.mark.parametrize("source", RIGHT, ids=lambda source: source.name)
def test_right_ports_deviate_in_nothing(source: Path, tmp_path: Path) -> None:
    port_of(source, tmp_path / "port", verify=False)
    assert deviations(read_policy(source), read_running(tmp_path / "port")) == []
