"""`diff`: what it finds between checkpoints and ports, and nothing between a port and its source."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from stable_baselines3 import A2C

from tests.readers.making import save

from . import files
from .conftest import CARTPOLE, FIXTURES, PENDULUM, ZIP, Cli


def _found(cli: Cli, *arguments: object) -> dict[str, Any]:
    result = cli("diff", *arguments, "--json")
    content: dict[str, Any] = json.loads(result.out)
    assert (content["schema"], content["version"]) == ("sb3port.diff", 1)
    assert result.code == (0 if content["equal"] else 1)
    assert result.err == ""
    return content


def _different(arrays: list[dict[str, Any]]) -> dict[str, str]:
    return {array["name"]: array["verdict"] for array in arrays if array["verdict"] != "equal"}


@pytest.mark.parametrize("source", sorted(path.name for path in FIXTURES.iterdir()))
def test_a_port_is_its_source(cli: Cli, source: str) -> None:
    cli("convert", FIXTURES / source, "made", "--no-verify").succeeds()
    result = cli("diff", FIXTURES / source, "made")
    result.succeeds()
    assert result.out.endswith("verdict     equal\n") or result.out.endswith("verdict  equal\n")
    assert cli("diff", "made", FIXTURES / source, "-q").out == "equal\n"
    assert _found(cli, "made", "made")["equal"]


def test_two_policies(cli: Cli) -> None:
    found = _found(cli, PENDULUM, CARTPOLE)
    assert {one["name"]: (one["a"], one["b"]) for one in found["policy"]} == {"use_sde": ("true", "false")}
    spaces = {one["name"]: (one["a"], one["b"]) for one in found["spaces"]}
    assert spaces["action_space"] == ("Box(-2, 2, (1,), float32)", "Discrete(2)")
    training = {one["name"]: (one["a"], one["b"]) for one in found["training"]}
    assert training["learning_rate"] == ("0.001", "linear 0.001 to 0")
    assert training["n_steps"] == ("1024", "32")
    assert _different(found["tensors"])["log_std"] == "only in A"
    assert _different(found["tensors"])["action_net.weight"] == "shape"
    assert len(found["tensors"]) == 13
    assert set(_different(found["statistics"]).values()) == {"only in A"}
    assert _different(_found(cli, CARTPOLE, PENDULUM)["tensors"])["log_std"] == "only in B"


def test_one_weight(cli: Cli, here: Path) -> None:
    changed = files.with_weight(ZIP, here / "changed.zip", 0.5)
    found = _found(cli, ZIP, changed, "--no-stats")
    assert _different(found["tensors"]) == {"action_net.weight": "different"}
    assert not any(found[section] for section in ("policy", "spaces", "normaliser", "training", "statistics"))
    result = cli("diff", ZIP, changed, "--no-stats")
    assert result.code == 1
    assert "action_net.weight  different  (1, 64) float32" in result.out
    assert "tensors  13, 1 differ\nverdict  different\n" in result.out
    assert "log_std" not in result.out
    assert "log_std" in cli("diff", ZIP, changed, "--no-stats", "-v").out
    assert cli("diff", ZIP, changed, "--no-stats", "-q").out == "different\n"


def test_one_bit_and_the_sign_of_zero(cli: Cli, port: Path) -> None:
    tensors = load_file(port / "model.safetensors")
    tensors["log_std"].view(np.uint32).flat[5] ^= 1
    tensors["value_net.bias"][...] = 0.0
    save_file(tensors, port / "model.safetensors")
    other = {**tensors, "value_net.bias": -tensors["value_net.bias"]}
    found = {array["name"]: array for array in _found(cli, PENDULUM, port)["tensors"]}
    assert 0 < found["log_std"]["max_abs"] < 1e-6
    before = port.rename(port.parent / "before")
    cli("convert", PENDULUM, "port", "--no-verify").succeeds()
    save_file(other, port / "model.safetensors")
    found = {array["name"]: array for array in _found(cli, before, port)["tensors"]}
    assert (found["value_net.bias"]["verdict"], found["value_net.bias"]["max_abs"]) == ("different", 0.0)
    assert found["log_std"]["verdict"] == "equal"


def test_bounds_that_look_the_same(cli: Cli, port: Path) -> None:
    config = json.loads((port / "config.json").read_text())
    config["observation_space"]["low"][0] = -0.9999999
    (port / "config.json").write_text(json.dumps(config))
    ((space),) = _found(cli, PENDULUM, port)["spaces"]
    assert space["name"] == "observation_space"
    assert space["a"] != space["b"]


def test_statistics(cli: Cli, port: Path) -> None:
    without = _found(cli, ZIP, port, "--no-stats")
    assert {one["name"] for one in without["normaliser"]} >= {"clip_obs", "epsilon", "norm_obs"}
    assert {one["a"] for one in without["normaliser"]} == {"absent"}
    state = next(port.glob("policy_preprocessor_step_*.safetensors"))
    tensors = load_file(state)
    tensors["observation.state.var"][1] += 1e-9
    save_file(tensors, state)
    found = _found(cli, PENDULUM, port)
    assert _different(found["statistics"]) == {"obs_rms.var": "different"}
    assert not found["normaliser"]


def test_errors(cli: Cli, port: Path) -> None:
    cli("diff", port).fails(2, "B")
    cli("diff", port, "absent/absent.zip").fails(2, "absent")
    cli("diff", __file__, port).fails(4)
    (port / "config.json").write_text("{}")
    cli("diff", port, port).fails(4, "is damaged")


@pytest.mark.parametrize(
    ("name", "completed"),
    [
        ("1.6.2/ppo-shared", {"net_arch"}),
        ("0.9.0/ppo-box-linear", {"learning_rate", "clip_range", "normalize_advantage"}),
        ("2.9.2/ppo-box", set()),
    ],
)
def test_a_file_is_its_repair_but_for_what_is_completed(name: str, completed: set[str], cli: Cli) -> None:
    source = FIXTURES.parents[1] / "eras" / name
    cli("repair", source, "mended", "--no-verify").succeeds()
    for pair, side in (((source, "mended"), "B"), (("mended", source), "A")):
        found = json.loads(cli("diff", *pair, "--json").out)
        listed = {one["name"] for section in ("policy", "training") for one in found[section]}
        assert listed == completed
        assert found["completed_by"] == (side if completed else None)
        result = cli("diff", *pair)
        assert result.code == 0
        verdict = f"equal, but for what {side} completes" if completed else "equal"
        assert result.out.rstrip().endswith(verdict)
        assert cli("diff", *pair, "-q").out == f"{verdict}\n"
    cli("repair", source, "other", "--no-verify", "--learning-rate", 5e-5).succeeds()
    assert cli("diff", source, "other", "-q").out == "different\n"


def test_a_rate_that_was_lost_is_completed(cli: Cli, here: Path) -> None:
    save(A2C, here / "model.zip", learning_rate=0.0)
    Path("config.yml").write_text("learning_rate: lin_7e-4\n")
    cli("repair", "model.zip", "mended", "--no-verify").succeeds()
    found = json.loads(cli("diff", "model.zip", "mended", "--json").out)
    assert (found["verdict"], found["equal"]) == ("equal, but for what B completes", False)
    assert [(one["name"], one["a"]) for one in found["training"]] == [("learning_rate", "0")]
