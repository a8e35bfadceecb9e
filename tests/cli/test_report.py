"""`report`: parity reports rendered again, one or several, into a folder or onto stdout."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from sb3port.reports.files import FILES, render, write_reports
from sb3port.reports.json_text import canonical
from tests.reports import examples

from .conftest import Cli


@pytest.fixture
def report(here: Path) -> Path:
    """Give the path of a report."""
    return _write(here / "parity.json", examples.failing())


def _write(path: Path, report: examples.Report) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report))
    return path


@pytest.mark.parametrize("form", FILES)
def test_one_form_on_stdout(cli: Cli, report: Path, form: str) -> None:
    result = cli("report", report, "--to", form)
    result.succeeds()
    assert result.out == render([canonical(examples.failing())], form).text
    assert result.err == ""


def test_markdown_is_what_a_terminal_gets(cli: Cli, report: Path) -> None:
    assert cli("report", report).out == cli("report", report, "--to", "md").out


def test_all_forms_into_a_folder(cli: Cli, here: Path, report: Path) -> None:
    result = cli("report", here, "--out", "a/b")
    result.succeeds()
    assert result.out.split() == [f"a/b/{name}" for name in FILES.values()]
    assert {path.name for path in (here / "a/b").iterdir()} == set(FILES.values())
    again = cli("report", "a/b", "--out", "again")
    again.succeeds()
    for name in FILES.values():
        assert (here / "a/b" / name).read_bytes() == (here / "again" / name).read_bytes()


def test_chosen_forms_into_a_folder(cli: Cli, here: Path, report: Path) -> None:
    cli("report", report, "--to", "md", "--to", "junit", "--out", "out").succeeds()
    assert sorted(path.name for path in (here / "out").iterdir()) == ["junit.xml", "parity.md"]


def test_several_reports(cli: Cli, here: Path) -> None:
    paths = [
        _write(here / f"{name}.json", getattr(examples, name)()) for name in ("good", "failing", "hostile")
    ]
    result = cli("report", *paths, "--out", "out")
    result.succeeds()
    pages = {path.name for path in (here / "out").glob("*.html")}
    assert len(pages) == 4
    assert {"index.html", "ppo-Pendulum-v1.html", "ppo-Pendulum-v1-2.html"} <= pages
    index = (here / "out/index.html").read_text()
    assert all(f'href="{page}"' in index for page in pages - {"index.html"})
    assert len(Xml.parse(here / "out/junit.xml").getroot()) == 3
    assert len(json.loads((here / "out/parity.json").read_text())) == 3
    assert (here / "out/parity.md").read_text().count("❌") == 2


def test_errors(cli: Cli, here: Path, report: Path) -> None:
    cli("report").fails(2, "REPORT")
    cli("report", "absent.json").fails(2, "absent.json is not a file", "--report-dir")
    cli("report", report, "--to", "pdf").fails(2, "pdf")
    cli("report", report, "--to", "md", "--to", "html").fails(2, "one form at a time", "--out")
    _write(here / "newer.json", {**examples.good(), "version": 2})
    cli("report", "newer.json").fails(4, "newer.json is of version 2 of sb3port.parity", "update sb3port")
    _write(here / "broken.json", {**examples.good(), "checks": [{}]})
    cli("report", report, "broken.json", "--out", "out").fails(4, "broken.json", "checks[0].id is absent")
    assert not (here / "out").exists()
    cli("report", report, "--out", report).fails(2, f"{report} cannot be written")


def test_nothing_half_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(examples.good(), here / "out")
    before = {path.name: path.read_bytes() for path in (here / "out").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Exception, match="out cannot be written: No space left on device"):
        write_reports(examples.failing(), here / "out")
    assert {path.name: path.read_bytes() for path in (here / "out").iterdir()} == before


def test_summary_is_appended(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = here / "summary.md"
    summary.write_text("# Before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for report in (examples.good(), examples.failing()):
        write_reports(report, None)
    text = summary.read_text()
    assert text.startswith("# Before\n## ✅ `ppo-Pendulum-v1`: bit-exact\n")
    assert "\n\n## ❌ `ppo-Pendulum-v1`: fail\n" in text
    assert list(here.iterdir()) == [summary]
