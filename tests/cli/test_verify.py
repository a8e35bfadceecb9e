"""`verify`: what it says of ports that are right, wrong or without a source."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.commands import verify as verification
from sb3port.parity.comparison.compare import Comparison
from sb3port.parity.comparison.report import Check, ObservationSummary, ParityReport
from sb3port.parity.comparison.verdicts import Verdict
from sb3port.ports.manifest import read_provenance

from . import files
from .conftest import CARTPOLE, PENDULUM, ZIP, Cli


@pytest.fixture
def verify(cli: Cli) -> Cli:
    """Give a function that runs `sb3port verify`, without a second process: that costs eight seconds."""
    return lambda *args: cli("verify", "--no-reload", *args)


@pytest.fixture
def movable(cli: Cli, here: Path) -> Path:
    """Give a port, `here/port`, of a source that a test may change, `here/src`."""
    shutil.copytree(PENDULUM, here / "src")
    cli("convert", "src", "port", "--no-verify").succeeds()
    return here / "src"


def _flip_last_bit(port: Path, name: str) -> None:
    tensors = load_file(port / "model.safetensors")
    tensors[name].view(np.uint32).flat[5] ^= 1
    save_file(tensors, port / "model.safetensors")


def test_port_holds(verify: Cli, port: Path) -> None:
    for exact in ([], ["--exact"]):
        result = verify(port, *exact)
        result.succeeds()
        assert "verdict       bit-exact\n" in result.out
        assert "observations  256 recorded (reference.npz), 527 edge cases\n" in result.out
        assert result.err == ""


def test_json_and_quiet(verify: Cli, port: Path) -> None:
    result = verify(port, "--json")
    result.succeeds()
    content = json.loads(result.out)
    assert (content["schema"], content["version"], content["verdict"]) == ("sb3port.parity", 1, "bit-exact")
    assert str(PENDULUM) not in result.out
    quiet = verify(port, "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "bit-exact\n", "")


def test_verbose_adds_the_mean_difference(verify: Cli, port: Path) -> None:
    assert "mean diff" not in verify(port).out
    assert "mean diff" in verify(port, "-v").out


def test_one_flipped_bit_is_found_and_named(verify: Cli, port: Path) -> None:
    _flip_last_bit(port, "mlp_extractor.policy_net.2.weight")
    result = verify(port)
    assert result.code == 1
    assert "verdict       fail\n" in result.out
    worst = result.out.split("worst ")[1]
    assert "mlp_extractor.policy_net.2.weight" in worst
    assert "Traceback" not in result.err
    assert json.loads(verify(port, "--json").out)["verdict"] == "fail"
    assert verify(port, "-q").out == "fail\n"


def test_missing_tensor_is_named(verify: Cli, port: Path) -> None:
    tensors = load_file(port / "model.safetensors")
    del tensors["log_std"]
    save_file(tensors, port / "model.safetensors")
    result = verify(port)
    assert result.code in (1, 4)
    assert "log_std" in result.out + result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "sb3port.json", "policy_preprocessor.json"]
)
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00"], ids=["empty", "object", "binary"])
def test_damaged_port(verify: Cli, port: Path, name: str, content: bytes) -> None:
    (port / name).write_bytes(content)
    verify(port).fails(4)


def test_no_port(verify: Cli, here: Path) -> None:
    (here / "empty").mkdir()
    verify("empty").fails(4, "empty holds no SB3 checkpoint")
    verify("absent").fails(2, "error: absent is neither a file or folder on this machine")


def test_source_gone(verify: Cli, movable: Path) -> None:
    elsewhere = movable.rename(movable.parent / "elsewhere")
    result = verify("port")
    assert result.code == 1
    assert "verdict  inconclusive\n" in result.out
    assert "the source cannot be read again" in result.out
    assert result.err == "hint: say with --source where the source is now\n"
    assert json.loads(verify("port", "--json").out)["verdict"] == "inconclusive"
    verify("port", "--source", elsewhere).succeeds()
    verify("port", "--source", "absent").fails(2, "absent")


def test_source_changed(verify: Cli, movable: Path) -> None:
    files.with_weight(ZIP, movable / ZIP.name, 0.5)
    result = verify("port")
    assert result.code == 1
    assert "verdict  inconclusive\n" in result.out
    assert f"this is not the source of the port: {ZIP.name}" in result.out
    result = verify("port", "--source", CARTPOLE)
    assert result.code == 1
    assert "verdict  inconclusive\n" in result.out
    verify("port", "--source", PENDULUM).succeeds()


def test_source_that_became_hostile(verify: Cli, movable: Path) -> None:
    files.with_pickle(ZIP, movable / ZIP.name, "note", b"cos\nsystem\n(S'touch ran'\ntR.")
    unread = verify("port")
    assert (unread.code, "with the recorded SHA-256 not found" in unread.out) == (1, True)
    verify("port", "--source", movable).fails(5, "system")


def test_exact_demands_more(verify: Cli, port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = Comparison(Verdict.WITHIN_NOISE, shape=(2,), max_abs=1e-7, noise=1e-7)
    checks, drawn = [Check("network", close, "value", "drawn")], ObservationSummary("drawn", "drawn", 2, "")
    report = ParityReport(read_provenance(port), "port", {}, {}, checks, [drawn])
    monkeypatch.setattr(verification, "run_checks", lambda *_: report)
    verify(port).succeeds()
    result = verify(port, "--exact")
    assert result.code == 1
    assert "verdict       within noise, but --exact demands bit-exact\n" in result.out
    assert "worst         network.value:drawn" in result.out


def test_given_tolerance_is_said(verify: Cli, port: Path) -> None:
    with np.load(PENDULUM / "reference.npz") as archive:
        arrays = dict(archive)
    arrays["value"][7] += 0.01
    np.savez("moved.npz", **arrays)
    assert verify(port, "--observations", "moved.npz").code == 1
    result = verify(port, "--observations", "moved.npz", "--atol", "0.1")
    result.succeeds()
    assert "bit-exact, with --atol 0.1 in place of the noise rule\n" in result.out
    content = json.loads(verify(port, "--observations", "moved.npz", "--atol", "0.1", "--json").out)
    assert content["tolerance"]["atol"] == 0.1
    (moved,) = [check for check in content["checks"] if check["id"] == "network.value:reference"]
    assert moved["verdict"] == "within atol"
    verify(port, "--atol", "-1").fails(2)


def _observations(path: Path, values: np.ndarray) -> Path:
    np.savez(path, observation=values)
    return path


def test_own_observations(verify: Cli, here: Path, port: Path) -> None:
    values = np.linspace(-1, 1, 30, dtype=np.float32).reshape(10, 3)
    result = verify(port, "--observations", _observations(here / "mine.npz", values))
    result.succeeds()
    assert "observations  10 recorded (mine.npz), 527 edge cases\n" in result.out
    assert not any(line.startswith("recorded ") for line in result.out.splitlines())


def test_useless_observations(verify: Cli, here: Path, port: Path) -> None:
    nan = _observations(here / "nan.npz", np.full((4, 3), np.nan, np.float32))
    verify(port, "--observations", nan).fails(4, "nan.npz", "NaN")
    wide = _observations(here / "wide.npz", np.zeros((4, 5), np.float32))
    verify(port, "--observations", wide).fails(4, "(5,)", "(3,)")
    verify(port, "--observations", ZIP).fails(4, "does not hold recorded observations")
    verify(port, "--observations", "absent.npz").fails(2, "absent.npz is not a file")


def test_wrong_recorded_outputs_fail(verify: Cli, here: Path, port: Path) -> None:
    with np.load(PENDULUM / "reference.npz") as archive:
        arrays = dict(archive)
    arrays["value"][7] += 0.01
    np.savez(here / "wrong.npz", **arrays)
    result = verify(port, "--observations", "wrong.npz")
    assert result.code == 1
    assert "worst         network.value:reference: largest difference 0.01 at [7]" in result.out


def test_several_observations(verify: Cli, here: Path, port: Path) -> None:
    mine = _observations(here / "mine.npz", np.zeros((5, 3), np.float32))
    named = ("--observations", mine, "--observations", "drawn", "--observations", "rollout")
    result = verify(port, *named, "--env", "Pendulum-v1", "--json")
    result.succeeds()
    content = json.loads(result.out)
    counts = {found["set"]: found["count"] for found in content["observations"]}
    assert counts == {"recorded": 5, "drawn": 256, "rollout": 1024, "edge": 527}
    assert all(0 <= found["clipped_share"] < 0.1 for found in content["observations"])
    (behaviour,) = [check for check in content["checks"] if check["stage"] == "behaviour"]
    assert behaviour["informational"]
    assert (behaviour["verdict"], behaviour["count"]) == ("bit-exact", 10)
    assert " with SB3, " in behaviour["reason"]
    verify(port, "--observations", "rollout").fails(2, "a rollout needs an environment", "--env ID")
    verify(port, "--env", "CartPole-v1").fails(2, "CartPole-v1 has the observations")


def test_a_second_process_loads_the_port(cli: Cli, port: Path) -> None:
    content = json.loads(cli("verify", port, "--json").out)
    reloaded = {c["output"]: c["verdict"] for c in content["checks"] if c["stage"] == "reload"}
    assert reloaded == {"action": "bit-exact", "value": "bit-exact", "log_prob": "bit-exact"}
