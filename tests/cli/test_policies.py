"""A SOURCE is taken wherever a port is, with the options that narrow it down; nothing of it stays."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sb3port
from sb3port.errors import NotPortable, UsageError
from sb3port.files.untrusted import sha256_of

from .conftest import CARTPOLE, PENDULUM, STATISTICS, ZIP, Cli

TINY = ("--n-steps", 32, "--batch-size", 32, "--n-epochs", 1, "--n-envs", 1, "--eval-episodes", 0)


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def model(here: Path) -> Path:
    """A zip without statistics beside it, and another in the same folder."""
    shutil.copy(ZIP, here / "model.zip")
    shutil.copy(CARTPOLE / "ppo-CartPole-v1.zip", here / "other.zip")
    return here / "model.zip"


def test_eval_is_that_of_the_port(cli: Cli, port: Path, model: Path, scratch: Path) -> None:
    call = ("--episodes", 2, "--env", "Pendulum-v1", "--json")
    given = ("--vecnormalize", STATISTICS)
    found = json.loads(cli("eval", model.name, *given, *call).out)
    expected = json.loads(cli("eval", "port", *call).out)
    assert found["port"]["name"] == "model.zip"
    assert found["port"]["files"]["model.safetensors"] == sha256_of(port / "model.safetensors")
    assert found["episodes"] == expected["episodes"]
    compared = json.loads(cli("eval", model.name, *given, *call, "--compare").out)
    assert compared["sb3"]["episodes"] == expected["episodes"]
    folder = json.loads(cli("eval", ".", "--filename", "model.zip", *given, *call).out)
    assert folder["episodes"] == expected["episodes"]
    assert list(scratch.iterdir()) == []


def test_what_narrows_a_source_down_is_wanted_and_of_no_use_for_ports(
    cli: Cli, port: Path, model: Path, scratch: Path
) -> None:
    cli("eval", "model.zip").fails(2, "VecNormalize", "--vecnormalize")
    cli("eval", ".").fails(2, "model.zip", "other.zip", "--filename")
    cli("eval", "model.zip", "--vecnormalize", STATISTICS, "--no-stats").fails(2, "drop one of the two")
    for words in (("--no-stats",), ("--filename", "x"), ("--vecnormalize", "x"), ("--revision", "main")):
        for command in (("eval",), ("verify",), ("export",), ("finetune", "--out", "run", "--steps", 9)):
            cli(command[0], "port", *command[1:], *words).fails(2, "port is a port, which holds one policy")
    cli("eval", "port", "--sandbox").fails(2, "--sandbox is for the pickles of a source")
    assert list(scratch.iterdir()) == []


def test_verify_is_that_of_a_port(cli: Cli, model: Path, scratch: Path) -> None:
    call = ("verify", "model.zip", "--vecnormalize", STATISTICS, "--observations", "drawn", "--exact")
    report = json.loads(cli(*call, "--no-reload", "--json").out)
    assert (report["port"]["name"], report["verdict"]) == ("model.zip", "bit-exact")
    several = cli("verify", "other.zip", PENDULUM, "--no-reload", "--observations", "drawn")
    several.succeeds()
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in Path().iterdir()) == ["model.zip", "other.zip"]


@pytest.mark.long
def test_lerobot_loads_the_port_before_it_is_gone(cli: Cli, model: Path, scratch: Path) -> None:
    """In a process of its own."""
    report = json.loads(cli("verify", "other.zip", "--observations", "drawn", "--exact", "--json").out)
    verdicts = {check["verdict"] for check in report["checks"] if check["id"].startswith("reload")}
    assert verdicts == {"bit-exact"}
    assert list(scratch.iterdir()) == []


def test_a_source_that_is_unsafe_stays_so(cli: Cli, here: Path, scratch: Path) -> None:
    from . import files

    files.with_pickle(CARTPOLE / "ppo-CartPole-v1.zip", here / "evil.zip", "note", b"cos\nsystem\n(S'a'\ntR.")
    for command in (("eval",), ("verify",), ("export",), ("finetune", "--out", "run", "--steps", 9)):
        cli(command[0], "evil.zip", *command[1:]).fails(5, "system")
    with pytest.raises(NotPortable, match="system"):
        sb3port.load_policy("evil.zip")
    assert list(scratch.iterdir()) == []
    assert [path.name for path in here.iterdir()] == ["evil.zip"]


def test_finetune_goes_on_as_from_the_port(cli: Cli, port: Path, model: Path) -> None:
    call = ("--env", "Pendulum-v1", "--steps", 32, *TINY)
    cli("finetune", "port", *call, "--out", "a").succeeds()
    cli("finetune", "model.zip", "--vecnormalize", STATISTICS, *call, "--out", "b").succeeds()
    for name in ("model.safetensors", "training_state/optimizer_state.safetensors"):
        place = Path("checkpoints/last/pretrained_model") / name
        assert ("a" / place).read_bytes() == ("b" / place).read_bytes()


def test_export_is_that_of_the_port(cli: Cli, port: Path, model: Path) -> None:
    for label, words in (("port", ()), ("model.zip", ("--vecnormalize", STATISTICS))):
        cli("export", label, f"{label}-out", *words, "--to", "numpy", "--observations", "drawn").succeeds()
    arrays = [dict(np.load(next(Path(f"{label}-out").glob("*.npz")))) for label in ("port", "model.zip")]
    assert arrays[0].keys() == arrays[1].keys()
    numbers = arrays[0].keys() - {"metadata"}  # which says where each is from
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in numbers)


def test_functions_take_sources(port: Path, model: Path, scratch: Path) -> None:
    how: dict[str, Any] = {"vecnormalize": STATISTICS}
    observation = np.array([1.0, 0.0, 0.5], np.float32)
    action = sb3port.load_policy(port).predict(observation)[0]
    assert sb3port.load_policy(model, **how).predict(observation)[0] == action
    within = sb3port.load_policy(".", filename="model.zip", **how)
    assert within.predict(observation)[0] == action
    bare = sb3port.load_policy(model, use_stats=False)
    assert bare.predict(observation)[0] != action
    one, other = (sb3port.evaluate(place, "Pendulum-v1", episodes=1) for place in (port, PENDULUM))
    assert one.returns == other.returns
    assert sb3port.verify(PENDULUM, reload=False, observations=["drawn"]).verdict == "bit-exact"
    with pytest.raises(UsageError, match="holds one policy"):
        sb3port.evaluate(port, **how)
    with pytest.raises(TypeError, match="file_name"):
        sb3port.load_policy(model, file_name="x")  # type: ignore[call-arg]
    assert list(scratch.iterdir()) == []
