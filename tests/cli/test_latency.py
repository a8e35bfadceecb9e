"""`latency`: what is measured, and what is said of what is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port import errors
from sb3port.commands import latency
from sb3port.commands.policies import read_policy

from .conftest import ZIP, Cli

ERAS = ZIP.parents[4] / "fixtures" / "eras"


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give what makes packages look as if they were not installed."""
    find_spec = errors.find_spec

    def hide(*names: str) -> None:
        monkeypatch.setattr(errors, "find_spec", lambda name: None if name in names else find_spec(name))

    return hide


def test_it_measures_what_is_installed(cli: Cli, port: Path, hidden: Callable[..., None]) -> None:
    hidden("lerobot", "onnxruntime")
    told = cli("latency", port, "--calls", 60, "--json")
    told.succeeds()
    content = json.loads(told.out)
    assert (content["schema"], content["calls"]) == ("sb3port.latency", 60)
    assert set(content["measured"]) == {"numpy", "torch", "SB3"}
    for row in content["measured"].values():
        assert 0 < row["p50_us"] <= row["p99_us"]
    assert set(content["absent"]) == {"LeRobot", "onnxruntime"}
    assert "[lerobot]" in content["absent"]["LeRobot"]
    table = cli("latency", port, "--calls", 1)
    assert table.out.splitlines()[0].split() == ["backend", "p50", "[us]", "p99", "[us]"]
    assert len(table.out.splitlines()) == 4
    assert "without LeRobot: LeRobot needs lerobot, which is not installed" in table.err


def test_a_robot_has_numpy_alone(cli: Cli, hidden: Callable[..., None]) -> None:
    hidden("torch", "gymnasium", "lerobot", "onnx", "stable_baselines3", "sb3_contrib")
    assert cli("latency", ZIP, "--calls", 3, "--quiet").out == "numpy\n"


def test_what_cannot_be_measured(cli: Cli) -> None:
    cli("latency", "nowhere.zip").fails(2, "nowhere.zip")
    cli("latency", ZIP, "--calls", 0).fails(2, "--calls")


@pytest.mark.long
@pytest.mark.parametrize("name", ["ppo_lstm-two-layers", "ppo-dict-unsorted", "ppo_mask-multidiscrete"])
def test_all_choose_the_same_actions(name: str, tmp_path: Path) -> None:
    checkpoint = read_policy(ERAS / "2.9.2" / name)
    subject = latency.Subject(checkpoint, latency._observation(checkpoint), tmp_path)
    predicts, absent = latency.contestants(subject)
    assert absent == {}
    for _ in range(3):  # a recurrent policy goes on
        actions: list[Any] = [np.asarray(predict()).ravel() for predict in predicts.values()]
        assert all(np.abs(one - actions[0]).max() <= 1e-5 for one in actions)
