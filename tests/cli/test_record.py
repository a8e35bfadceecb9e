"""`record`: what is written, what is refused, and what is printed."""

import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import PENDULUM, ZIP, Cli

RUN = ("--env", "Pendulum-v1", "--episodes", 1)


@pytest.mark.parametrize("form", ["npz", "lerobot"])
def test_record_and_verify(cli: Cli, port: Path, form: str, here: Path) -> None:
    result = cli("record", PENDULUM, *RUN, "--seed", 3, "--out", "data/it", "--format", form)
    result.succeeds()
    assert "policy       SB3 of ppo-Pendulum-v1\n" in result.out
    assert "steps        200 in 1 episode, seed 3\n" in result.out
    assert result.err == "hint: compare a port on it: sb3port verify PORT --observations data/it\n"
    verified = cli("verify", port, "--observations", "data/it", "--json")
    verified.succeeds()
    content = json.loads(verified.out)
    assert (content["observations"][0]["label"], content["observations"][0]["count"]) == (
        "recorded (it)",
        200,
    )
    judged = {check["output"] for check in content["checks"] if check["against"] == "reference"}
    assert {"action", "value", "log_prob"} <= judged
    assert [path.name for path in (here / "data").iterdir()] == ["it"]


def test_a_wrong_recording_fails_the_port(cli: Cli, port: Path) -> None:
    cli("record", PENDULUM, *RUN, "--out", "a.npz").succeeds()
    arrays = dict(np.load("a.npz"))
    arrays["value"][7] += 0.01
    np.savez("b.npz", **arrays)
    result = cli("verify", port, "--observations", "b.npz")
    assert result.code == 1
    assert "network.value:reference" in result.out


def test_a_port_acts_itself(cli: Cli, port: Path) -> None:
    cli("record", PENDULUM, *RUN, "--out", "sb3.npz").succeeds()
    result = cli("record", port, *RUN, "--out", "port.npz", "--json")
    content = json.loads(result.out)
    assert (content["schema"], content["version"], content["format"]) == ("sb3port.record", 1, "npz")
    assert (content["policy"], content["steps"]) == ("port of ppo-Pendulum-v1", 200)
    one, other = np.load("sb3.npz"), np.load("port.npz")
    assert all(np.array_equal(one[name], other[name]) for name in one.files if name != "metadata")


def test_stochastic(cli: Cli) -> None:
    for out in ("a.npz", "b.npz"):
        result = cli("record", PENDULUM, *RUN, "--out", out, "--stochastic", "-q")
        assert (result.code, result.out, result.err) == (0, f"{out}\n", "")
    one, other = np.load("a.npz"), np.load("b.npz")
    assert np.array_equal(one["taken_action"], other["taken_action"])
    assert not np.array_equal(one["taken_action"], one["action"])


@pytest.mark.parametrize("form", ["npz", "lerobot"])
def test_nothing_is_overwritten_without_force(cli: Cli, form: str, here: Path) -> None:
    arguments = ("record", PENDULUM, *RUN, "--out", "it", "--format", form)
    cli(*arguments).succeeds()
    cli(*arguments).fails(2, "it exists", "--force")
    cli(*arguments, "--force").succeeds()
    (here / "other").mkdir()
    (here / "other" / "precious").write_text("x")
    refused = cli(*arguments[:-3], "other", "--format", form, "--force")
    refused.fails(2, "so --force does not replace it")
    assert sorted(path.name for path in here.iterdir()) == ["it", "other"]


def test_nothing_is_written_where_it_ends_early(cli: Cli, here: Path) -> None:
    out = ("--out", "deep/er/it")
    cli("record", PENDULUM, "--env", "CartPole-v1", *out).fails(2, "CartPole-v1 has the observations Box")
    cli("record", PENDULUM, "--env", "Nope-v1", *out).fails(2, "cannot be made")
    cli("record", ZIP, "--env", "Pendulum-v1", *out, "--vecnormalize", "no.pkl").fails(2, "no.pkl")
    cli("record", "absent", *RUN, *out).fails(2, "absent")
    assert list(here.iterdir()) == []


def test_wrong_options(cli: Cli) -> None:
    result = cli("record", PENDULUM, *RUN, "--out", "a", "--format", "hdf5")
    assert result.code == 2
    assert "--format is 'hdf5', but it must be one of npz, lerobot" in result.err
    assert cli("record", PENDULUM, *RUN).code == 2
