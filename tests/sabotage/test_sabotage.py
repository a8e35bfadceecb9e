"""Wrong ports, each made of a right one: verification must notice every one, in the check meant for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.conversion import verify
from sb3port.parity.report import ParityReport
from sb3port.port import STATISTICS_FILE
from tests.ports import port_of

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"
PI, VF = "mlp_extractor.policy_net", "mlp_extractor.value_net"

Tensors = dict[str, np.ndarray]


def edit_tensors(port: Path, change: Callable[[Tensors], None], name: str = "model.safetensors") -> None:
    tensors = load_file(port / name)
    change(tensors)
    save_file({key: np.array(array, order="C") for key, array in tensors.items()}, port / name)


def edit_json(port: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((port / name).read_text())
    change(content)
    (port / name).write_text(json.dumps(content))


def flip_last_bit(tensors: Tensors) -> None:
    tensors[f"{PI}.2.weight"].view(np.int32)[11, 7] ^= 1


def swap_nets(tensors: Tensors) -> None:
    for layer in ("0.weight", "0.bias", "2.weight", "2.bias"):
        pi, vf = f"{PI}.{layer}", f"{VF}.{layer}"
        tensors[pi], tensors[vf] = tensors[vf], tensors[pi]


def transpose(tensors: Tensors) -> None:
    tensors[f"{PI}.2.weight"] = tensors[f"{PI}.2.weight"].T


def drop_bias(tensors: Tensors) -> None:
    tensors["value_net.bias"][:] = 0


def shift_log_std(tensors: Tensors) -> None:
    tensors["log_std"] += np.float32(1e-3)


WEIGHTS = {
    "one weight's last bit flipped": (flip_last_bit, None),
    "policy and value net swapped": (swap_nets, "action"),
    "a square weight transposed": (transpose, "action"),
    "the value bias dropped": (drop_bias, "value"),
    "log_std off by 1e-3": (shift_log_std, "log_prob"),
}


def preprocessor(**config: Any) -> Callable[[Path], None]:
    def change(content: dict[str, Any]) -> None:
        content["steps"][2]["config"].update(config)

    return lambda port: edit_json(port, "policy_preprocessor.json", change)


def postprocessor(**config: Any) -> Callable[[Path], None]:
    def change(content: dict[str, Any]) -> None:
        content["steps"][-1]["config"].update(config)

    return lambda port: edit_json(port, "policy_postprocessor.json", change)


def without_normaliser(port: Path) -> None:
    edit_json(port, "policy_preprocessor.json", lambda content: content["steps"].pop(2))


def without_clipping(port: Path) -> None:
    edit_json(port, "policy_postprocessor.json", lambda content: content["steps"].pop())


def statistics(change: Callable[[Tensors], None]) -> Callable[[Path], None]:
    return lambda port: edit_tensors(port, change, STATISTICS_FILE)


def float32_statistics(tensors: Tensors) -> None:
    for name in ("mean", "var"):
        key = f"observation.state.{name}"
        tensors[key] = tensors[key].astype(np.float32).astype(np.float64)


def of_another_run(tensors: Tensors) -> None:
    tensors["observation.state.mean"] += 0.01


def config(**fields: Any) -> Callable[[Path], None]:
    return lambda port: edit_json(port, "config.json", lambda content: content.update(fields))


AROUND = {
    "another activation": (config(activation_fn="ReLU"), "action"),
    "expln instead of exp": (config(use_expln=True), "log_prob"),
    "clip_obs of 1.5": (preprocessor(clip_obs=1.5), "normalized_observation"),
    "another epsilon": (preprocessor(epsilon=1e-3), "normalized_observation"),
    "no normaliser": (without_normaliser, "normalized_observation"),
    "float32 statistics": (statistics(float32_statistics), "normalized_observation"),
    "statistics of another run": (statistics(of_another_run), "normalized_observation"),
    "action bounds off": (postprocessor(low=-1.9), "action"),
    "no clipping of actions": (without_clipping, "action"),
}


@pytest.fixture
def port(tmp_path: Path) -> Path:
    port_of(FIXTURES / "ppo-Pendulum-v1", tmp_path / "port", verify=False)
    return tmp_path / "port"


def verdicts(report: ParityReport) -> dict[str, str]:
    return {check.id: str(check.comparison.verdict) for check in report.checks}


def test_the_right_port_passes(port: Path) -> None:
    report = verify(port, None, None)
    assert report.holds(exact=True)
    assert set(verdicts(report).values()) <= {"bit-exact", "within noise"}


@pytest.mark.parametrize("name", WEIGHTS)
def test_wrong_weights_are_noticed(name: str, port: Path) -> None:
    sabotage, output = WEIGHTS[name]
    edit_tensors(port, sabotage)
    report = verify(port, None, None)
    assert report.verdict == "fail"
    assert verdicts(report)["source.tensors"] == "fail"
    if output is not None:  # one bit need not show in any output
        assert verdicts(report)[f"oracle.{output}"] != "bit-exact"


@pytest.mark.parametrize("name", AROUND)
def test_wrong_surroundings_are_noticed(name: str, port: Path) -> None:
    sabotage, output = AROUND[name]
    sabotage(port)
    report = verify(port, None, None)
    assert not report.holds(exact=True)
    assert verdicts(report)["source.tensors"] == "bit-exact"
    assert verdicts(report)[f"oracle.{output}"] != "bit-exact"
    if name != "float32 statistics":  # which may stay within noise
        assert report.verdict == "fail"


def test_the_worst_case_is_named(port: Path) -> None:
    edit_tensors(port, lambda tensors: tensors["value_net.bias"].__iadd__(np.float32(3)))
    report = verify(port, None, None)
    worst = report.worst
    assert worst is not None
    assert worst.id == "source.tensors"
    assert worst.comparison.reason == "value_net.bias differs by up to 3 at [0]"
    assert worst.comparison.max_abs == pytest.approx(3, rel=1e-5)
    found = worst.comparison.worst
    assert found is not None
    assert found.candidate - found.reference == pytest.approx(3, rel=1e-5)
