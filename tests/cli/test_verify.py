"""`verify`: what it says of ports that are right, wrong or without a source."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port import conversion
from sb3port.parity.compare import Comparison, Verdict
from sb3port.parity.report import Check, ParityReport
from sb3port.port import read_provenance

from . import files
from .conftest import CARTPOLE, PENDULUM, ZIP, Cli


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


def test_port_holds(cli: Cli, port: Path) -> None:
    for exact in ([], ["--exact"]):
        result = cli("verify", port, *exact)
        result.succeeds()
        assert "verdict       bit-exact\n" in result.out
        assert "observations  256, recorded (reference.npz)\n" in result.out
        assert result.err == ""


def test_json_and_quiet(cli: Cli, port: Path) -> None:
    result = cli("verify", port, "--json")
    result.succeeds()
    content = json.loads(result.out)
    assert (content["schema"], content["version"], content["verdict"]) == ("sb3port.parity", 1, "bit-exact")
    assert str(PENDULUM) not in result.out
    quiet = cli("verify", port, "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "bit-exact\n", "")


def test_verbose_adds_the_mean_difference(cli: Cli, port: Path) -> None:
    assert "mean diff" not in cli("verify", port).out
    assert "mean diff" in cli("verify", port, "-v").out


def test_one_flipped_bit_is_found_and_named(cli: Cli, port: Path) -> None:
    _flip_last_bit(port, "mlp_extractor.policy_net.2.weight")
    result = cli("verify", port)
    assert result.code == 1
    assert "verdict       fail\n" in result.out
    worst = result.out.split("worst ")[1]
    assert "mlp_extractor.policy_net.2.weight" in worst
    assert "Traceback" not in result.err
    assert json.loads(cli("verify", port, "--json").out)["verdict"] == "fail"
    assert cli("verify", port, "-q").out == "fail\n"


def test_missing_tensor_is_named(cli: Cli, port: Path) -> None:
    tensors = load_file(port / "model.safetensors")
    del tensors["log_std"]
    save_file(tensors, port / "model.safetensors")
    result = cli("verify", port)
    assert result.code in (1, 4)
    assert "log_std" in result.out + result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "sb3port.json", "policy_preprocessor.json"]
)
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00"], ids=["empty", "object", "binary"])
def test_damaged_port(cli: Cli, port: Path, name: str, content: bytes) -> None:
    (port / name).write_bytes(content)
    cli("verify", port).fails(4)


def test_no_port(cli: Cli, here: Path) -> None:
    cli("verify", PENDULUM).fails(4, "is not a port: it has no sb3port.json")
    cli("verify", "absent").fails(2, "error: absent is not a folder", "sb3port convert SOURCE")


def test_source_gone(cli: Cli, movable: Path) -> None:
    elsewhere = movable.rename(movable.parent / "elsewhere")
    result = cli("verify", "port")
    assert result.code == 1
    assert "verdict  inconclusive\n" in result.out
    assert "the source cannot be read again" in result.out
    assert result.err == "hint: say with --source where the source is now\n"
    assert json.loads(cli("verify", "port", "--json").out)["verdict"] == "inconclusive"
    cli("verify", "port", "--source", elsewhere).succeeds()
    cli("verify", "port", "--source", "absent").fails(2, "absent")


def test_source_changed(cli: Cli, movable: Path) -> None:
    files.with_weight(ZIP, movable / ZIP.name, 0.5)
    result = cli("verify", "port")
    assert result.code == 1
    assert "verdict  inconclusive\n" in result.out
    assert f"is not the source of this port: {ZIP.name}" in result.out
    result = cli("verify", "port", "--source", CARTPOLE)
    assert result.code == 1
    assert "verdict  inconclusive\n" in result.out
    cli("verify", "port", "--source", PENDULUM).succeeds()


def test_source_that_became_hostile(cli: Cli, movable: Path) -> None:
    files.with_pickle(ZIP, movable / ZIP.name, "note", b"cos\nsystem\n(S'touch ran'\ntR.")
    cli("verify", "port").fails(5, "system")


def test_exact_demands_more(cli: Cli, port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close = Comparison(Verdict.WITHIN_NOISE, (2,), max_abs=1e-7, noise=1e-7)
    report = ParityReport(read_provenance(port), "drawn", 2, "", [Check("oracle.value", close)])
    monkeypatch.setattr(conversion, "run_checks", lambda *_: report)
    cli("verify", port).succeeds()
    result = cli("verify", port, "--exact")
    assert result.code == 1
    assert "verdict       within noise, but --exact demands bit-exact\n" in result.out
    assert "worst         oracle.value" in result.out


def _observations(path: Path, values: np.ndarray) -> Path:
    np.savez(path, observation=values)
    return path


def test_own_observations(cli: Cli, here: Path, port: Path) -> None:
    values = np.linspace(-1, 1, 30, dtype=np.float32).reshape(10, 3)
    result = cli("verify", port, "--observations", _observations(here / "mine.npz", values))
    result.succeeds()
    assert "observations  10, recorded (mine.npz)\n" in result.out
    assert "recorded " not in result.out.replace("recorded (mine.npz)", "")


def test_useless_observations(cli: Cli, here: Path, port: Path) -> None:
    nan = _observations(here / "nan.npz", np.full((4, 3), np.nan, np.float32))
    cli("verify", port, "--observations", nan).fails(4, "nan.npz", "NaN")
    wide = _observations(here / "wide.npz", np.zeros((4, 5), np.float32))
    cli("verify", port, "--observations", wide).fails(4, "(5,)", "(3,)")
    cli("verify", port, "--observations", ZIP).fails(4, "does not hold recorded observations")
    cli("verify", port, "--observations", "absent.npz").fails(2, "absent.npz is not a file")


def test_wrong_recorded_outputs_fail(cli: Cli, here: Path, port: Path) -> None:
    with np.load(PENDULUM / "reference.npz") as archive:
        arrays = dict(archive)
    arrays["value"][7] += 0.01
    np.savez(here / "wrong.npz", **arrays)
    result = cli("verify", port, "--observations", "wrong.npz")
    assert result.code == 1
    assert "worst         recorded.value: largest difference 0.01 at [7]" in result.out
