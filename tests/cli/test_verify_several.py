"""`verify` of several ports: one process, one index, and a broken one does not stop the others."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import pytest

from sb3port.commands.verify_several import names_of
from sb3port.reports.files import FILES
from sb3port.reports.reading import read_reports, schema
from tests.sabotage.wrong_ports import config

from .conftest import Cli

ALL = ("good/best", "bad/best", "broken", "absent")


@pytest.fixture
def ports(pristine: Path, here: Path) -> Path:
    """Give a folder with a right port, a wrong one and a broken one."""
    for name in ("good/best", "bad/best", "broken"):
        shutil.copytree(pristine, here / name)
    config(activation_fn="ReLU")(here / "bad/best")
    (here / "broken/config.json").write_text("{}")
    return here


def test_every_port_is_told_of(cli: Cli, ports: Path) -> None:
    result = cli("verify", *ALL, "--no-reload", "--report-dir", "out")
    assert result.code == 4  # the largest of 0, 1, 4 and 2
    rows = {line.split()[0]: line for line in result.out.splitlines() if line.strip()}
    assert "bit-exact" in rows["good/best"]
    assert "activation_fn: Tanh in the source, ReLU in the port" in rows["bad/best"]
    assert "broken/config.json" in rows["broken"]
    assert "absent is neither a file or folder" in rows["absent"]
    assert "1 of 4 fails, 2 could not be read" in rows["ports"]
    assert result.err.splitlines()[:2] == ["1/4     good/best: bit-exact", "2/4     bad/best: fail"]
    assert "Traceback" not in result.err
    _check_files(ports / "out")
    assert cli("report", "out").out == (ports / "out/parity.md").read_text()


def _check_files(out: Path) -> None:
    folders = ["good-best", "bad-best", "broken", "absent"]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == sorted(folders)
    for folder in folders:
        assert {path.name for path in (out / folder).iterdir()} == set(FILES.values())
        jsonschema.validate(json.loads((out / folder / "parity.json").read_text()), schema())
    index = (out / "index.html").read_text()
    assert all(f'href="{folder}/parity.html"' in index for folder in folders)
    assert [report["port"]["name"] for report in read_reports(out)] == list(ALL)
    assert len(Xml.parse(out / "junit.xml").getroot()) == 4
    text = (out / "parity.md").read_text()
    assert text.startswith("## Parity: 1 of 4 fails, 2 could not be read\n")


def test_one_object_for_programs(cli: Cli, ports: Path) -> None:
    result = cli("verify", *ALL[:3], "--no-reload", "--json")
    content = json.loads(result.out)
    assert (content["schema"], content["version"]) == ("sb3port.verify", 1)
    assert content["exit_code"] == result.code == 4
    found = [(one["port"], one["name"], one["verdict"], one["exit_code"]) for one in content["ports"]]
    assert found == [
        ("good/best", "good/best", "bit-exact", 0),
        ("bad/best", "bad/best", "fail", 1),
        ("broken", "broken", None, 4),
    ]
    good, bad, broken = content["ports"]
    jsonschema.validate(bad["report"], schema())
    assert (good["error"], bad["error"], broken["report"]) == (None, None, None)
    assert "broken/config.json" in broken["error"]["message"]


def test_one_port_keeps_its_form(cli: Cli, ports: Path) -> None:
    content = json.loads(cli("verify", ALL[0], "--no-reload", "--json").out)
    assert (content["schema"], content["port"]["name"]) == ("sb3port.parity", "best")


def test_quiet_and_summary(cli: Cli, ports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(ports / "summary.md"))
    result = cli("verify", *ALL[:2], "--no-reload", "-q")
    assert (result.code, result.err) == (1, "")
    assert result.out == "good/best: bit-exact\nbad/best: fail\n"
    text = (ports / "summary.md").read_text()
    assert text.startswith("## Parity: 1 of 2 fails\n")
    assert text.count("\n## ") == 1  # what holds is in the index only


def test_a_source_is_that_of_one_port(cli: Cli, ports: Path) -> None:
    cli("verify", *ALL[:2], "--source", "x.zip").fails(2, "--source names the source of one port")


def test_names_tell_ports_apart(here: Path) -> None:
    given = ["runs/1/best", "runs/2/best", "other", "org/name@main", "."]
    assert names_of([Path(name) for name in given]) == ["1/best", "2/best", "other", "name@main", "here"]
    assert names_of([Path("a/b"), Path("b")]) == ["a/b", "b"]
    assert names_of([Path("a"), Path("a")]) == ["a", "a"]
