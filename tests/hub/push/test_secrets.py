"""Planted secrets: a token and paths of this machine are in nothing that is printed, written or sent."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sb3port.__main__ import main

from ..state import LoopbackHub
from .pushing import FIXTURES, REPO, SOURCE

SECRET_FOLDER = "very-secret-folder"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that runs `sb3port`, and gives all that it prints."""

    def run(*args: object) -> str:
        monkeypatch.setattr(sys, "argv", ["sb3port", *map(str, args)])
        with pytest.raises(SystemExit):
            main()
        return "".join(capfd.readouterr())

    return run


def test_the_token_is_nowhere(
    run: Any, hub: LoopbackHub, port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.chdir(tmp_path)
    printed = [
        run("convert", SOURCE, "from-hub", "--no-verify"),
        run("convert", "nobody/nothing", "other", "--no-verify"),
        run("push", port, REPO, "--json"),
        run("inspect", REPO, "-v"),
        run("verify", port, "--no-reload", "--report-dir", "reports", "--json"),
        run("eval", port, "--env", "No-Such-Env-v0"),
    ]
    assert hub.token not in "".join(printed)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "home" not in path.parts]
    assert len(written) > 20
    assert not [path for path in written if hub.token.encode() in path.read_bytes()]


def test_paths_of_this_machine_are_not_sent(
    run: Any, hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    source = tmp_path / SECRET_FOLDER / "ppo-Pendulum-v1"
    shutil.copytree(FIXTURES / SOURCE, source)
    monkeypatch.chdir(tmp_path)
    run("convert", source, "port")
    run("verify", "port", "--no-reload", "--report-dir", "reports")
    assert "error" not in run("push", "port", REPO, "--report-dir", "reports")
    sent = {name: content for tree in hub.repos[REPO].commits.values() for name, content in tree.items()}
    assert {"README.md", "sb3port.json", "parity.json"} <= set(sent)
    assert json.loads(sent["sb3port.json"])["source"]["location"] == "ppo-Pendulum-v1"
    assert not [name for name, content in sent.items() if SECRET_FOLDER.encode() in content]
    assert not [name for name, content in sent.items() if str(tmp_path).encode() in content]


@pytest.mark.parametrize("name", ["training_state/training_step.json", "README.md"])
def test_what_a_link_leads_to_is_not_sent(name: str, run: Any, hub: LoopbackHub, port: Path) -> None:
    secret = port.parent / "secret"
    secret.write_text("hunter2")
    (port / name).unlink()
    (port / name).symlink_to(secret)
    assert "leads out of" in run("push", port, REPO)
    assert REPO not in hub.repos
