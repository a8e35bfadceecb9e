"""`convert`: what it writes and prints, and that it writes all or nothing."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands import policies
from sb3port.ports.writing import write_port

from .conftest import CARTPOLE, PENDULUM, STATISTICS, ZIP, Cli

FILES = {
    "README.md",
    "config.json",
    "model.safetensors",
    "policy_postprocessor.json",
    "policy_preprocessor.json",
    "sb3port.json",
    "training_state",
}


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_folder_becomes_a_verified_port_with_a_default_name(cli: Cli, here: Path) -> None:
    result = cli("convert", PENDULUM)
    result.succeeds()
    port = here / "ports" / "ppo-Pendulum-v1"
    assert {path.name for path in port.iterdir()} >= FILES | {"parity.json"}
    assert json.loads((port / "parity.json").read_text())["verdict"] == "bit-exact"
    assert [line.split()[0] for line in result.err.splitlines() if line[:1] not in " h"] == [
        "read",
        "map",
        "write",
        "verify",
    ]
    assert "verify  bit-exact on 783 observations, recorded (reference.npz) and edge cases\n" in result.err
    assert result.err.endswith("hint: run it with: sb3port eval ports/ppo-Pendulum-v1 --env Pendulum-v1\n")
    assert "port          ports/ppo-Pendulum-v1\n" in result.out
    assert "parity        bit-exact" in result.out
    assert "VecNormalize, observations over 102,404 samples" in result.out


def test_zip_takes_the_statistics_beside_it(cli: Cli, here: Path) -> None:
    result = cli("convert", ZIP, "mine/deep")
    result.succeeds()
    assert "ppo-Pendulum-v1.zip and vec_normalize.pkl" in result.err
    assert (here / "mine" / "deep" / "config.json").is_file()
    assert _names(here / "mine") == ["deep"]


def test_zip_gives_the_port_its_name(cli: Cli, here: Path) -> None:
    shutil.copy(CARTPOLE / "ppo-CartPole-v1.zip", here / "some.model.zip")
    cli("convert", "some.model.zip", "--no-verify").succeeds()
    assert (here / "ports" / "some.model" / "config.json").is_file()


def test_json_is_one_object_and_nothing_else(cli: Cli) -> None:
    result = cli("convert", PENDULUM, "--json")
    result.succeeds()
    content = json.loads(result.out)
    assert (content["schema"], content["version"]) == ("sb3port.convert", 1)
    assert content["port"] == "ports/ppo-Pendulum-v1"
    assert content["verdict"] == content["report"]["verdict"] == "bit-exact"
    assert content["warnings"] == []


def test_quiet_prints_the_path_alone(cli: Cli) -> None:
    result = cli("convert", PENDULUM, "-q")
    result.succeeds()
    assert (result.out, result.err) == ("ports/ppo-Pendulum-v1\n", "")


def test_verbose_tells_times(cli: Cli) -> None:
    assert " s)\n" not in cli("convert", PENDULUM, "a", "--no-verify").err
    assert cli("convert", PENDULUM, "b", "--no-verify", "-v").err.count(" s)\n") == 3


def test_unverified_port_says_so(cli: Cli, here: Path) -> None:
    result = cli("convert", PENDULUM, "a port", "--no-verify")
    result.succeeds()
    assert "parity        not verified" in result.out
    assert "verify  " not in result.err
    assert result.err.endswith("hint: compare it with SB3: sb3port verify 'a port'\n")
    assert not (here / "a port" / "parity.json").exists()
    assert json.loads(cli("convert", PENDULUM, "b", "--no-verify", "--json").out)["report"] is None


def test_no_stats_leaves_the_normaliser_out_and_verifies(cli: Cli, here: Path) -> None:
    result = cli("convert", PENDULUM, "bare", "--no-stats")
    result.succeeds()
    assert "normaliser    none" in result.out
    assert not list((here / "bare").glob("*vec_normalize*"))
    # The recorded outputs were made with the statistics: they say nothing of the bare network.
    assert "drawn from the observation space" in result.err
    cli("verify", "bare").succeeds()


def test_statistics_can_be_given(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, stats = here / "alone.zip", here / "stats.pkl"
    shutil.copy(ZIP, alone)
    shutil.copy(STATISTICS, stats)
    result = cli("convert", alone, "given", "--vecnormalize", "stats.pkl")
    result.succeeds()
    assert list((here / "given").glob("*vec_normalize*"))
    assert "drawn around the running statistics" in result.err
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    cli("verify", here / "given").succeeds()


def test_given_statistics_are_not_judged_by_recorded_outputs(cli: Cli, here: Path) -> None:
    environment = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
    statistics = VecNormalize.load(str(STATISTICS), environment)
    statistics.obs_rms.mean += 0.5
    statistics.save("other.pkl")
    cli("convert", PENDULUM, "given", "--vecnormalize", "other.pkl").succeeds()


def test_existing_destination_is_left_alone(cli: Cli, port: Path) -> None:
    before = sorted(path.name for path in port.iterdir())
    cli("convert", PENDULUM, port).fails(2, f"error: {port} exists\n", "--force")
    assert sorted(path.name for path in port.iterdir()) == before


def test_force_replaces_a_port(cli: Cli, port: Path) -> None:
    (port / "leftover").touch()
    cli("convert", CARTPOLE, port, "--force", "--no-verify").succeeds()
    assert "CartPole" in (port / "README.md").read_text()
    assert not (port / "leftover").exists()
    assert _names(port.parent) == ["port"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["folder", "file"])
def test_force_replaces_nothing_but_ports(cli: Cli, here: Path, make: Callable[[Path], None]) -> None:
    dest = here / "precious"
    make(dest)
    if dest.is_dir():
        (dest / "thesis.tex").touch()
    cli("convert", PENDULUM, dest, "--force").fails(2, f"error: {dest} is not a port")
    assert dest.is_file() or (dest / "thesis.tex").exists()


def test_destination_that_cannot_be_made(cli: Cli, here: Path) -> None:
    (here / "file").touch()
    result = cli("convert", PENDULUM, "file/port", "--no-verify")
    assert result.code == 2
    assert "error: file/port cannot be written: file: File exists\n" in result.err


def _no_space() -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _bug() -> NoReturn:
    raise RuntimeError("oops")


@pytest.mark.parametrize("forced", [False, True], ids=["new", "forced"])
@pytest.mark.parametrize(
    ("happens", "code"),
    [(_no_space, 2), (_interrupt, 130), (_terminate, 143), (_bug, 70)],
    ids=["disk full", "ctrl-c", "sigterm", "bug"],
)
def test_interrupted_write_leaves_nothing_behind(
    cli: Cli,
    here: Path,
    pristine: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[], None],
    code: int,
    forced: bool,
) -> None:
    def write_half(checkpoint: Checkpoint, folder: Path) -> None:
        (folder / "config.json").write_text("half")
        happens()

    if forced:
        shutil.copytree(pristine, here / "port")
        (here / "port" / "old").touch()
    monkeypatch.setattr(policies, "write_port", write_half)
    result = cli("convert", PENDULUM, "port", *(["--force"] if forced else []))
    assert result.code == code
    assert _names(here) == (["port"] if forced else [])
    assert (here / "port" / "old").exists() is forced
    assert result.out == ""


def test_full_disk_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "write_port", lambda *_: _no_space())
    result = cli("convert", PENDULUM, "port")
    assert "error: port cannot be written: No space left on device\n" in result.err
    assert "Traceback" not in result.err


def _write_other_weights(checkpoint: Checkpoint, folder: Path) -> int:
    weights = {**checkpoint.tensors, "action_net.bias": checkpoint.tensors["action_net.bias"] + np.float32(1)}
    return write_port(replace(checkpoint, tensors=weights), folder)


@pytest.mark.parametrize("forced", [False, True], ids=["new", "forced"])
def test_failed_verification_writes_nothing(
    cli: Cli, here: Path, pristine: Path, monkeypatch: pytest.MonkeyPatch, forced: bool
) -> None:
    monkeypatch.setattr(policies, "write_port", _write_other_weights)
    if forced:
        shutil.copytree(pristine, here / "port")
        (here / "port" / "old").touch()
    result = cli("convert", PENDULUM, "port", *(["--force"] if forced else []))
    result.fails(1, "it is not written", "action_net.bias differs by up to 1 at [0])")
    assert _names(here) == (["port"] if forced else [])
    assert (here / "port" / "old").exists() is forced


def test_failed_verification_gives_its_report_as_json(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "write_port", _write_other_weights)
    result = cli("convert", PENDULUM, "port", "--json")
    assert result.code == 1
    content = json.loads(result.out)
    assert (content["port"], content["verdict"]) == (None, "fail")
    failed = {check["id"] for check in content["report"]["checks"] if check["verdict"] == "fail"}
    assert failed >= {
        "tensors",
        "distribution.mode:recorded",
        "action.action:recorded",
        "distribution.mode:reference",
    }
