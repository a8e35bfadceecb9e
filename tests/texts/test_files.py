"""Strangers' texts in the other things that are written: XML, JSON, HTML, pictures, names of files, logs."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from sb3port.cli.pytest_plugin import _explain, _sentence
from sb3port.errors import UsageError
from sb3port.files.texts.html import html_environment, html_file
from sb3port.files.texts.json_text import json_text
from sb3port.files.texts.names import file_name
from sb3port.files.texts.plot_text import plot_text
from sb3port.files.texts.xml_text import element, xml_file, xml_text
from sb3port.reports.files import unique_names
from tests.reports import examples

from .nasty import NASTY, each, is_plain


@each
def test_xml(text: str) -> None:
    found = xml_file(
        element("a", {"b": xml_text("{}", text)}, [element("c", {}, text=xml_text("{}\n", text))])
    )
    assert is_plain(found.text)
    root = Xml.fromstring(found.text)
    assert [child.tag for child in root.iter()] == ["a", "c"]
    assert root.attrib["b"] == xml_text("{}", text).text


@each
def test_json(text: str) -> None:
    found = json_text({text: [text]})
    assert found.text.isascii()
    assert found.text.isprintable()
    assert json.loads(found.text) == {text: [text]}


@each
def test_html(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text('<p title="{{ text }}">{{ text }}</p>')
    found = html_file(html_environment(tmp_path), "x.j2", text=text).text
    assert is_plain(found)
    assert found.count("<") == 2


@each
def test_pictures(text: str, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    title = figure.suptitle(plot_text("{} in {}", text, text).text)
    assert is_plain(title.get_text())
    assert not title._preprocess_math(title.get_text())[1]  # type: ignore[attr-defined]
    figure.savefig(tmp_path / "x.svg")


@each
def test_names_of_files(text: str, tmp_path: Path) -> None:
    for hyphens in (False, True):
        name = file_name(text, hyphens=hyphens).text
        assert is_plain(name)
        assert Path(name).name == name
        assert name[0] not in ".-"
        assert not set(name) & set("/\\:<>|?*\"'` \n")
        (tmp_path / name).write_text("")


def test_names_are_unique() -> None:
    names = unique_names([*NASTY.values(), *NASTY.values(), "index"], ".html")
    assert len({name.text.lower() for name in names} | {"index.html"}) == len(names) + 1


@each
def test_pytest(text: str) -> None:
    assert is_plain(_sentence(UsageError(text, text)).plain)
    report = {**examples.failing(), "port": {"name": text, "files": {}}}
    assert is_plain(_explain(report, "bit-exact").plain)


def test_honest_names_stay_as_they_are() -> None:
    for name in ("ppo-Pendulum-v1", "a.b_c+d", "Größe", "模型"):
        assert file_name(name).text == name


@pytest.mark.parametrize("name", ["con", "NUL.txt", "com1", "LPT9.a.b"])
def test_no_devices_of_windows(name: str) -> None:
    assert file_name(name).text == f"x-{name}"
