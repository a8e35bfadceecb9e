"""`sb3port scan`: its exit codes and the forms of its result."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from sb3port.readers.formats.groups import Group

from .conftest import Cli

EVIL = b"cposix\nsystem\n(X\x04\x00\x00\x00truetR."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of every verdict."""
    (tmp_path / "evil <b>|\x1b[31m.pkl").write_bytes(EVIL)
    (tmp_path / "own.pkl").write_bytes(b"cmy_robot\nReward\n.")
    (tmp_path / "broken.pkl").write_bytes(b"\x80\x04")
    (tmp_path / "clean.pkl").write_bytes(pickle.dumps(np.zeros(3)))
    return tmp_path


def test_the_command(cli: Cli, folder: Path) -> None:
    result = cli("scan", str(folder))
    assert result.code == 5
    assert "posix.system" in result.out
    assert "my_robot.Reward" in result.out
    assert "\x1b" not in result.out
    assert "4 files: 1 dangerous, 1 unreadable, 1 with own code, 1 clean" in result.out
    assert cli("scan", str(folder / "own.pkl")).code == 0
    assert cli("scan", str(folder / "own.pkl"), "--strict").code == 5
    assert cli("scan", str(folder / "broken.pkl"), str(folder / "clean.pkl")).code == 4
    assert cli("scan", str(folder / "absent.pkl")).code == 2


def test_json_and_markdown(cli: Cli, folder: Path) -> None:
    content = json.loads(cli("scan", str(folder), "--json").out)
    assert (content["schema"], content["exit_code"]) == ("sb3port.scan", 5)
    assert content["counts"] == {"dangerous": 1, "unreadable": 1, "own code": 1, "clean": 1}
    (clean,) = (file for file in content["files"] if file["path"].endswith("clean.pkl"))
    assert {found["group"] for found in clean["globals"]} == {Group.HARMLESS.value}
    text = cli("scan", str(folder), "--format", "markdown").out
    assert text.startswith("## ❌ sb3port scan: 4 files: 1 dangerous")
    assert "<b>" not in text
    assert "clean.pkl" not in text


def test_sarif(cli: Cli, folder: Path) -> None:
    log = json.loads(cli("scan", str(folder), "--format", "sarif").out)
    (run,) = log["runs"]
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels == {"dangerous-global": "error", "unreadable": "warning", "own-code": "note"}
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]]
    assert all(uri.startswith("file:///") and " " not in uri and "<" not in uri for uri in uris)
