"""Networks on their own: ONNX, `torch.export` and numpy, each against SB3's own classes.

The cases are those of the other suites, and ones at the edges of what observations can be.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from sb3port.errors import NotPortable, UsageError
from sb3port.exports.graphs import GraphOptions
from sb3port.parity.comparison.verdicts import HOLDING
from sb3port.ports.reading import read_port
from tests.conformance.building import saved
from tests.conformance.cases import ACTIVATIONS, CASES, WITH_ARGUMENTS, sampled
from tests.conftest import REPOSITORY
from tests.exports import export_of
from tests.ports import port_of

pytestmark = pytest.mark.long

ON_POLICY = ("action", "value", "log_prob")  # all that an actor-critic policy has
ALL = GraphOptions(ON_POLICY)
ONNX = (
    "ppo-matrix-spaces",
    "ppo-float64",
    "ppo-float64-actions",
    "ppo-discrete-start",
    "ppo-gsde-expln",
    "ppo-gsde-not-full",
    "ppo-gsde-squashed",
    "ppo-no-hidden-layers",
    "ppo-sees-multidiscrete",
    "ppo-sees-multibinary-matrix",
    "ppo-sees-dict-of-all",
    "a2c-multidiscrete",
    "trpo-multibinary",
    "mask-vector-discrete",
    "mask-dict-of-all-multidiscrete",
    "mask-vector-multibinary",
    "lstm-vector-box",
    "lstm-image-discrete",
    "lstm-dict-of-most-multibinary",
    "lstm-shared",
    "lstm-no-critic",
    "lstm-two-layers",
    "lstm-gsde",
    "lstm-normalized",
    "cnn-apart",
    "cnn-unscaled",
    "cnn-planes-normalized",
    "image-in-mlp",
    "dict-partly-normalized",
)
TORCH = (
    "ppo-float64",
    "ppo-gsde-squashed",
    "ppo-sees-dict-of-all",
    "mask-dict-of-all-multidiscrete",
    "lstm-two-layers",
    "cnn-apart",
)
NUMPY = (
    "ppo-box",
    "ppo-matrix-spaces",
    "ppo-float64",
    "ppo-float64-actions",
    "ppo-gsde-squashed",
    "ppo-no-hidden-layers",
    "ppo-LeakyReLU-with-arguments",
    "ppo-sees-image",
    "ppo-sees-dict-of-all",
    "mask-vector-multidiscrete",
    "lstm-dict-of-most-box",
    "lstm-two-layers",
    "cnn-apart",
    "cnn-planes-normalized",
)


def ported(name: str, folder: Path) -> Path:
    saved(CASES[name], folder / "original")
    port_of(folder / "original", folder / "port", verify=False)
    return folder / "port"


def given_by(name: str) -> GraphOptions:
    """Everything, but for log-probabilities of squashed actions."""
    return GraphOptions(ON_POLICY[:2]) if "squashed" in name else ALL


@pytest.mark.parametrize("name", sampled(ONNX, every=6))
def test_onnx_is_within_noise(name: str, tmp_path: Path) -> None:
    graph = given_by(name)
    done = export_of(ported(name, tmp_path), tmp_path / "export", target="onnx", graph=graph)
    assert done.report is not None
    assert done.report.holds()
    compared = {(check.output, check.observations) for check in done.report.checks}
    wanted = {(output, place) for output in graph.outputs for place in ("drawn", "edge")}
    assert compared >= wanted
    session = onnxruntime.InferenceSession(tmp_path / "export" / done.files[0])
    assert all("batch" in value.shape for value in (*session.get_inputs(), *session.get_outputs()))
    for count in (1, 5):
        outputs = session.run(None, {value.name: _zeros(value, count) for value in session.get_inputs()})
        for value, array in zip(session.get_outputs(), outputs, strict=True):
            assert list(array.shape) == [count if part == "batch" else part for part in value.shape]


def _zeros(value: Any, count: int) -> np.ndarray:
    kinds = {"float": np.float32, "double": np.float64}
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    shape = [count if part == "batch" else part for part in value.shape]
    return np.full(shape, kind == "bool", dtype=kinds.get(kind, kind))


@pytest.mark.parametrize("name", sampled(TORCH, every=6))
def test_torch_program_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    done = export_of(ported(name, tmp_path), tmp_path / "export", target="torch", graph=given_by(name))
    assert done.report is not None
    # SB3 scores the steps of an LSTM all at once.
    assert done.report.holds(exact="lstm" not in name)


@pytest.mark.parametrize("name", sampled(NUMPY, every=7))
def test_numpy_is_within_noise(name: str, tmp_path: Path) -> None:
    outputs = ("action",) if "lstm" in name else ("action", "value")
    graph = GraphOptions(outputs)
    done = export_of(ported(name, tmp_path), tmp_path / "export", target="numpy", graph=graph)
    assert done.files == ("original.npz", "original.py")
    assert done.report is not None
    assert done.report.holds()
    compared = {(check.output, check.observations) for check in done.report.checks}
    assert compared >= {(output, place) for output in outputs for place in ("drawn", "edge")}


def test_numpy_has_no_memory_for_a_critic(tmp_path: Path) -> None:
    port = ported("lstm-vector-box", tmp_path)
    with pytest.raises(UsageError, match="no memory for the critic"):
        export_of(port, tmp_path / "export", target="numpy", graph=GraphOptions(("action", "value")))


@pytest.mark.parametrize("target", ["onnx", "torch", "numpy"])
@pytest.mark.parametrize("name", ["ppo-float64", "ppo-gsde-squashed"])
def test_raw_leaves_out_what_is_around_the_network(name: str, target: str, tmp_path: Path) -> None:
    graph = GraphOptions(("action", "value"), raw=True)
    done = export_of(ported(name, tmp_path), tmp_path / "export", target=target, graph=graph)
    assert done.report is not None
    assert done.report.holds()
    compared = {check.output for check in done.report.checks}
    assert {"mode", "value"} <= compared
    assert "action" not in compared


@pytest.mark.parametrize(
    "activation",
    [
        *sorted(ACTIVATIONS - {"Tanh", "ReLU", "ELU", "SiLU"}),
        *(name.removeprefix("ppo-") for name in WITH_ARGUMENTS),
    ],
)
def test_every_activation_has_a_form_in_onnx_or_is_refused(activation: str, tmp_path: Path) -> None:
    ported(f"ppo-{activation}", tmp_path)
    if activation == "LogSigmoid":
        with pytest.raises(NotPortable, match="activation LogSigmoid"):
            export_of(tmp_path / "port", tmp_path / "export", target="onnx", graph=ALL)
        return
    done = export_of(tmp_path / "port", tmp_path / "export", target="onnx", graph=ALL)
    assert done.report is not None
    assert done.report.holds()


def test_edges_are_within_noise(tmp_path: Path) -> None:
    """Bounds, far beyond them, tiny numbers and zero: through the clipping of observations and of actions."""
    from sb3port.exports.checks import check_export
    from sb3port.exports.deployed import Deployed
    from sb3port.exports.onnx import load_onnx
    from sb3port.networks.observations import Observations, set_of

    port = ported("ppo-float64", tmp_path)
    done = export_of(port, tmp_path / "export", target="onnx", graph=ALL, verify=False)
    checkpoint = read_port(port)
    size = checkpoint.spec.observation_space.size
    rows = [np.full(size, value) for value in (0.0, -0.0, 1e-300, 1e-12, 1e3, -1e3, 1e9, -1e9, 1e300)]
    far = set_of("far", "far away", Observations({"": np.stack([*rows, *(1e3 * np.eye(size))])}))
    run = load_onnx(tmp_path / "export" / done.files[0])
    checks, _ = check_export(Deployed(run, checkpoint, ALL), checkpoint, [far])
    assert {check.output for check in checks} == set(ON_POLICY)
    assert all(check.verdict in HOLDING for check in checks)


def test_metadata_says_what_it_was_made_of(pendulum: Path, tmp_path: Path) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    done = export_of(tmp_path / "port", tmp_path / "export", target="onnx")
    raw = (tmp_path / "export" / done.files[0]).read_bytes()
    noted = {entry.key: entry.value for entry in onnx.load_from_string(raw).metadata_props}
    checkpoint = read_port(tmp_path / "port")
    assert noted["sha256"] == checkpoint.provenance.files["checkpoint"].sha256
    assert json.loads(noted["action_space"]) == checkpoint.spec.action_space.to_json()
    assert noted["format"] == "1"
    assert str(tmp_path).encode() not in raw
    assert str(REPOSITORY).encode() not in raw
    session = onnxruntime.InferenceSession(raw)
    assert [value.name for value in session.get_inputs()] == ["observation"]
    assert [value.name for value in session.get_outputs()] == ["action"]


@pytest.mark.parametrize("outputs", [(), ("speed",), ("action", "action")])
def test_outputs_that_are_none_are_refused(outputs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="names no outputs"):
        GraphOptions(outputs)


def test_a_graph_of_other_weights_is_not_written(
    pendulum: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can fail: here the network of another policy is written."""
    from sb3port.errors import VerificationFailed
    from sb3port.exports import deployment

    build = deployment.build_policy

    def shaken(*what: Any) -> Any:
        policy = build(*what)
        policy.action_net.bias.add_(1e-3)
        return policy

    monkeypatch.setattr(deployment, "build_policy", shaken)
    port_of(pendulum, tmp_path / "port", verify=False)
    with pytest.raises(VerificationFailed, match="does not compute"):
        export_of(tmp_path / "port", tmp_path / "export", target="onnx")
    assert not (tmp_path / "export").exists()


def test_numpy_needs_numpy_alone(cartpole: Path, tmp_path: Path) -> None:
    port_of(cartpole, tmp_path / "port", verify=False)
    done = export_of(tmp_path / "port", tmp_path / "export", target="numpy")
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from ppo_CartPole_v1 import load
import numpy as np
policy = load()
actions, state = policy.predict(np.zeros((3, 4), np.float32))
assert actions.shape == (3,) and state is None
assert policy.predict(np.zeros(4))[0].shape == ()
assert not {"torch", "sb3port", "scipy"} & set(sys.modules)
"""
    assert done.files == ("ppo_CartPole_v1.npz", "ppo_CartPole_v1.py")
    command = [sys.executable, "-c", script, str(done.folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": ""})
