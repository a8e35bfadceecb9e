"""`--report-dir` of `verify` and `convert`, with real reports: they are of the schema, and render."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.commands import policies
from sb3port.reports.files import FILES
from sb3port.reports.reading import read_report, schema

from .conftest import CARTPOLE, PENDULUM, Cli


def _break(port: Path) -> None:
    tensors = load_file(port / "model.safetensors")
    tensors["action_net.weight"][0, 3] += 0.25
    save_file(tensors, port / "model.safetensors")


def _content(folder: Path) -> dict[str, Any]:
    assert {path.name for path in folder.iterdir()} == set(FILES.values())
    content: dict[str, Any] = json.loads((folder / "parity.json").read_text())
    jsonschema.validate(content, schema())
    return content


def test_verify(cli: Cli, here: Path, port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))
    cli("verify", port, "--no-reload", "--report-dir", "new/reports").succeeds()
    assert _content(here / "new/reports")["verdict"] == "bit-exact"
    assert (here / "summary.md").read_text() == (here / "new/reports/parity.md").read_text() + "\n"
    again = cli("verify", port, "--no-reload", "--report-dir", "again", "-q")
    assert (again.code, again.out) == (0, "bit-exact\n")
    for name in FILES.values():
        assert (here / "new/reports" / name).read_bytes() == (here / "again" / name).read_bytes()
    assert cli("report", here / "again").out == (here / "again/parity.md").read_text()


def test_verify_that_fails(cli: Cli, here: Path, port: Path) -> None:
    _break(port)
    result = cli("verify", port, "--no-reload", "--report-dir", "reports")
    assert result.code == 1
    content = _content(here / "reports")
    assert content["verdict"] == "fail"
    text = (here / "reports/parity.md").read_text()
    assert text.startswith("## ❌ `port`: fail")
    assert "action&#95;net.weight differs by up to 0.25" in text
    assert "Its observation: `[" in text
    assert len(text.splitlines()) <= 60
    assert "action_net.weight differs by up to 0.25" in (here / "reports/junit.xml").read_text()


def test_verify_without_a_source(cli: Cli, here: Path, port: Path) -> None:
    source = json.loads((port / "sb3port.json").read_text())
    source["source"]["location"] = "/absent"
    (port / "sb3port.json").write_text(json.dumps(source))
    assert cli("verify", port, "--report-dir", "reports").code == 1
    assert _content(here / "reports")["verdict"] == "inconclusive"
    assert "<failure" in (here / "reports/junit.xml").read_text()


def test_convert(cli: Cli, here: Path) -> None:
    cli("convert", CARTPOLE, "made", "--report-dir", "reports").succeeds()
    assert _content(here / "reports")["verdict"] == "bit-exact"
    assert (here / "made/parity.json").read_bytes() == (here / "reports/parity.json").read_bytes()
    card = (here / "made/README.md").read_text()
    assert f"## Parity\n\n#{(here / 'reports/parity.md').read_text()}\n" in card
    assert read_report(here / "made")["port"]["name"] == "made"
    cli("verify", "made", "--no-reload").succeeds()


def test_convert_that_is_refused(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = policies.write_port

    def wrong(checkpoint: Any, folder: Path) -> int:
        size = write(checkpoint, folder)
        _break(folder)
        return size

    monkeypatch.setattr(policies, "write_port", wrong)
    cli("convert", PENDULUM, "made", "--report-dir", "reports").fails(1, "action_net.weight")
    assert not (here / "made").exists()
    assert _content(here / "reports")["verdict"] == "fail"


def test_errors(cli: Cli, here: Path, port: Path) -> None:
    (here / "file").touch()
    cli("verify", port, "--report-dir", "file").fails(
        2, "--report-dir is 'file', which is a file and no folder"
    )
    cli("convert", PENDULUM, "made", "--report-dir", "file").fails(
        2, "--report-dir is 'file', which is a file and no folder"
    )
    result = cli("convert", PENDULUM, "made", "--no-verify", "--report-dir", "reports")
    result.fails(2, "--no-verify leaves nothing to report")
    assert not (here / "made").exists()


@pytest.mark.zoo
@pytest.mark.parametrize("name", ["ppo-LunarLander-v2", "ppo-HalfCheetah-v3", "trpo-Swimmer-v3"])
def test_zoo(cli: Cli, here: Path, zoo: Path, name: str) -> None:
    cli("convert", zoo / name, "made", "--no-verify").succeeds()
    cli("verify", "made", "--no-reload", "--report-dir", "reports")
    assert _content(here / "reports")["verdict"] in ("bit-exact", "within noise")
