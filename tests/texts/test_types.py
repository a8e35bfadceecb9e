"""Forgetting to escape is an error of types, and no template is computed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]
TEXTS = ROOT / "sb3port/files/texts"
SOURCES = sorted([*ROOT.glob("sb3port/**/*.py"), *ROOT.glob("lerobot_policy_ppo/src/**/*.py")])
# Their first argument is a template; of `styled` and `joined` it is the second.
TEMPLATES = dict.fromkeys(("terminal", "markdown", "python", "shell", "xml_text", "plot_text", "together"), 0)
TEMPLATES |= {"styled": 1, "joined": 1}
MEDIA = {
    *("Markdown", "PythonCode", "ShellCode", "XmlText", "XmlFile", "HtmlFile", "JsonText"),
    *("PlotText", "FileName", "TerminalText", "Span", "Markup"),
}
# Where something is printed that is not handed to `Output`.
PRINTING = {
    "api/running.py": {"warnings.warn"},
    "api/sharing.py": {"warnings.warn"},
    "callbacks.py": {"warnings.warn"},  # of a port that has changed; Python code shows it
    "cli/app.py": {"typer.echo"},
    "ppo/runs/tracked.py": {"warnings.warn"},  # of a tool that failed; the command line shows it, too
    "lerobot_policy_ppo/env_gymnasium.py": {"_logger.warning"},
    "lerobot_policy_ppo/env_policy.py": {"_logger.warning"},
}
FOREIGN = """
from sb3port.cli.output import Output
from sb3port.files.texts.markdown import Markdown, fenced, table
from sb3port.files.texts.names import FileName
from sb3port.files.texts.source_code import PythonCode
from sb3port.files.texts.terminal import styled
from sb3port.files.texts.xml_text import element
from sb3port.ports.card.facts import CardFacts, Licence
from sb3port.reports.files import write_files
from sb3port.reports.html import render_html_index
from pathlib import Path

def show(output: Output, text: str, code: PythonCode) -> None:
    output.warn(text)
    output.hint(text)
    output.stage(text, text)
    output.line(text)
    output.lines([text])
    output.fields({text: text})
    output.table([text], [[text]])
    output.text(text)
    output.result("", {}, text)
    output.working(text)
    output.track([], text)
    output.progress(text)
    styled(text, "a")
    table([text], [[text]])
    fenced(text)
    element("a", {"b": text})
    CardFacts(parity=text)
    CardFacts(parity=code)
    Licence(text)
    write_files(Path(), {text: code})
    render_html_index([], [text])
"""


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Give every call in the sources, with what is called."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node, ast.unparse(node.func)


@pytest.mark.long
def test_a_str_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "foreign.py").write_text(FOREIGN)
    # With the project's settings, but for its list of files.
    said, errors, _ = api.run(["--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "foreign.py")])
    assert errors == ""
    lines = FOREIGN.splitlines()
    expected = set(range(lines.index("    output.warn(text)") + 1, len(lines) + 1))
    refused = {int(line.split(":")[1]) for line in said.splitlines() if ": error: " in line}
    assert expected == refused, said


def test_templates_are_written_in_the_source() -> None:
    computed = [
        f"{path.name}:{call.lineno}"
        for path, call, name in calls()
        if name in TEMPLATES and path.parent != TEXTS
        if not isinstance(call.args[TEMPLATES[name]], ast.Constant)
    ]
    assert computed == []


def test_only_their_room_makes_what_is_ready() -> None:
    made = {
        (path.name, name) for path, _, name in calls() if name in MEDIA and not path.is_relative_to(TEXTS)
    }
    assert made == set()


def test_output_is_the_only_place_that_prints() -> None:
    printing = ("print", "typer.echo", "typer.secho", "sys.stderr.write", "sys.stdout.write", "warnings.warn")
    found: dict[str, set[str]] = {}
    for path, _, name in calls():
        logs = name.startswith(("_logger.", "logging.")) and name.rpartition(".")[2] in (
            *("debug", "info", "warning", "error", "exception", "critical"),
        )
        if name in printing or logs or name.startswith("traceback.print"):
            place = str(path.relative_to(ROOT)).removeprefix("sb3port/")
            found.setdefault(place.removeprefix("lerobot_policy_ppo/src/"), set()).add(name)
    assert found == PRINTING


def test_templates_of_html_mark_nothing_as_safe() -> None:
    for path in (ROOT / "sb3port/reports/templates").glob("*.j2"):
        content = path.read_text(encoding="utf-8")
        assert not any(word in content for word in ("|safe", "| safe", "autoescape", "Markup"))
