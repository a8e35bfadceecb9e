"""The site builds without a complaint, needs no other server, and its reference is that of the program."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from tests.docs.pages import ROOT

MAKING = ROOT / "docs" / "making"


def made_by(name: str) -> ModuleType:
    """Import what makes a page."""
    spec = importlib.util.spec_from_file_location(name, MAKING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_command_option_and_exit_code() -> None:
    from sb3port.cli.app import app
    from sb3port.cli.help import EXIT_CODES

    page = made_by("command_reference").command_reference()
    group = typer.main.get_command(app)
    sections = dict(re.findall(r"^## ([\w-]+) \{#.*?\}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(group.commands) <= set(sections)
    for name, command in group.commands.items():
        for param in command.params:
            words = [param.metavar or param.name] if param.param_type_name == "argument" else param.opts
            assert all(word in sections[name] for word in words), (name, param.name)
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


def test_texts_of_the_program_do_not_steer_the_page() -> None:
    plain = made_by("command_reference")._plain
    assert plain("a*b_c `d` [e](f) <g> | h\n i") == r"a\*b\_c \`d\` \[e\](f) &lt;g&gt; &#124; h i"


def test_pictures_are_small_and_shown() -> None:
    pages = "".join(
        p.read_text(encoding="utf-8") for p in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    )
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert len(pictures) >= 4
    for picture in pictures:
        assert picture.stat().st_size < 200_000
        assert f"pictures/{picture.name})" in pages
        assert f'"{picture.name}"' in (MAKING / "pictures.py").read_text(encoding="utf-8")


@pytest.mark.long
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    pages = {path.parent.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("index.html")}
    assert "--vecnormalize PATH" in pages["commands"]
    assert "Where the port shall lie" in pages["reference"]
    assert 'src="data:image/png;base64,' in pages["tour"]
    assert (tmp_path / "site" / "hover.py").is_file()
    for name, page in pages.items():
        asked = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(\w+:[^\"\s>]+)", page)
        own = ("https://sb3port.github.io/", "data:")
        assert [place for place in asked if not place.startswith(own)] == [], name


def test_the_notebook_was_run_in_order() -> None:
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))["cells"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert (ROOT / "docs" / "tour.ipynb").stat().st_size < 100_000


@pytest.mark.long
@pytest.mark.thorough
def test_the_notebook_runs() -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(ROOT / "docs" / "tour.ipynb", as_version=4)
    shown = [printed(cell) for cell in notebook.cells]
    place = {"metadata": {"path": str(ROOT / "docs")}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    found = [printed(cell) for cell in notebook.cells]
    assert [bool(text) for text in found] == [bool(text) for text in shown]
    before, after = [float(text.split(" ±")[0]) for text in found if " ±" in text]
    assert after > before + 200
    assert "bit-exact\n" in "".join(found)


def printed(cell: dict[str, object]) -> str:
    """Give what a cell printed."""
    outputs: list[dict[str, str]] = cell.get("outputs", [])  # type: ignore[assignment]
    return "".join(output.get("text", "") for output in outputs)
