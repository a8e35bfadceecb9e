"""Ports that are not what the conversion wrote: whoever runs one is told, with what differs."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import sb3port

from .conftest import Cli

TOLD = "config.json (activation_fn is 'ReLU' instead of 'Tanh') changed since the conversion"
RUN = ("--env", "Pendulum-v1", "--episodes", 1)


@pytest.fixture
def changed(port: Path) -> Path:
    """A port of another activation than its source has."""
    return change(port / "config.json", activation_fn="ReLU")


def change(path: Path, **values: Any) -> Path:
    """Change values of a JSON file; give its folder."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return path.parent


def test_commands_that_run_it(cli: Cli, changed: Path) -> None:
    for command in (("eval", changed, *RUN), ("record", changed, "--out", "a.npz", *RUN)):
        ended = cli(*command)
        ended.succeeds()
        assert f"warning: of port, {TOLD}" in ended.err


def test_finetune(cli: Cli, changed: Path) -> None:
    ended = cli("finetune", changed, "--env", "Pendulum-v1", "--steps", 4096, "--n-epochs", 1, "--out", "run")
    ended.succeeds()
    assert TOLD in ended.err


def test_load_policy(port: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3port.load_policy(port, "numpy")
    change(port / "config.json", activation_fn="ReLU")
    with pytest.warns(UserWarning, match="activation_fn is 'ReLU' instead of 'Tanh'"):
        sb3port.load_policy(port, "numpy")


def test_verify_names_the_setting(cli: Cli, port: Path) -> None:
    path = port / "policy_preprocessor.json"
    content = json.loads(path.read_text())
    content["steps"][2]["config"]["clip_obs"] = 5.0
    path.write_text(json.dumps(content))
    ended = cli("verify", port, "--no-reload")
    assert ended.code == 1
    assert "policy_preprocessor.json (clip_obs is 5.0 instead of 10.0)" in ended.out


def test_a_file_that_is_gone(cli: Cli, port: Path) -> None:
    (port / "training_state" / "training_step.json").unlink()
    ended = cli("eval", port, *RUN)
    ended.succeeds()
    assert "warning: of port, training_state/training_step.json gone since the conversion" in ended.err


def test_an_honest_port(cli: Cli, port: Path) -> None:
    ended = cli("eval", port, *RUN)
    ended.succeeds()
    assert "since the conversion" not in ended.err
