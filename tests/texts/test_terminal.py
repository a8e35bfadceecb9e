"""Nothing that a stranger wrote steers the terminal: in any method of `Output`, in `inspect`, in errors."""

import io
import re
import sys

import pytest

from sb3port.cli import app
from sb3port.cli.output import Output
from sb3port.cli.progress_bar import ProgressBar, track
from sb3port.commands import inspect as inspection
from sb3port.errors import LONGEST, NeedsOption, Sb3portError, UsageError
from sb3port.files.texts.terminal import shown, shown_lines, shown_rows, styled, terminal
from sb3port.readers.meaning.contents import contents_of_port
from tests.cli.conftest import Cli

from .nasty import Make, each, is_plain

_OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AKG]|\r")  # what Rich draws with


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def everything(output: Output, text: str) -> None:
    """Put a text through all that prints."""
    one = shown(text)
    output.stage(one, one)
    output.warn(one)
    output.hint(one)
    output.error(UsageError(text, text))
    output.bug(f"Traceback\n{text}", one)
    output.line(styled("bold", "{} {}", text, one))
    output.lines([one, one], indent=2)
    output.fields(shown_rows({text: text, "x": one}))
    output.table([one, one], [[one, one]])
    with output.working(one):
        pass
    assert list(output.track([1, 2], one)) == [1, 2]
    with output.progress(one) as bar:
        assert isinstance(bar, ProgressBar)
        bar.begin(0, 2)
        bar.update(1, one)


@each
@pytest.mark.parametrize("stream", [Terminal, io.StringIO], ids=["terminal", "pipe"])
def test_output(text: str, stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    printed = stream()
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr(sys, "stderr", printed)
    monkeypatch.setenv("TERM", "xterm-256color")
    everything(Output(), text)
    found = _OURS.sub("", printed.getvalue()) if stream is Terminal else printed.getvalue()
    assert is_plain(found)


@each
def test_a_line_stays_a_line(text: str) -> None:
    assert "\n" not in shown(text).plain
    assert terminal("a\n{}", text).plain.count("\n") == 1


@each
@pytest.mark.parametrize("arguments", [(), ("--quiet",), ("--json",)], ids=lambda a: " ".join(a) or "plain")
def test_inspect(
    text: str, arguments: tuple[str, ...], make: Make, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspection.Inspection(contents_of_port(make(text)))
    monkeypatch.setattr(inspection, "inspect", lambda *_: found)
    result = cli("inspect", "x", *arguments)
    assert result.code == 0
    assert is_plain(result.out + result.err)
    assert arguments != ("--json",) or result.out.isascii()


@each
def test_wrong_arguments(text: str, cli: Cli) -> None:
    argument = text.replace("\0", "").encode(errors="replace").decode()
    for call in (
        ["inspect", "a", argument],
        [argument],
        ["eval", "a", "--episodes", argument],
        [f"--{argument}"],
    ):
        result = cli(*call)
        assert is_plain(result.out + result.err)
        assert len(result.err) < 4 * LONGEST


@each
def test_errors(text: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NeedsOption(f"it needs {text}", ("--env", text))

    monkeypatch.setattr(inspection, "inspect", refuse)
    result = cli("inspect", "x")
    assert result.code == 2
    assert is_plain(result.err)
    assert len(result.err) < 3 * LONGEST
    assert result.err.count("\n") == 2


@each
def test_bugs(text: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(inspection, "inspect", fail)
    result = cli("inspect", "x")
    assert result.code == 70
    assert is_plain(result.err)
    assert len(result.err) < 12_000


@each
def test_warnings_of_other_packages(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_plain(app._warning_lines(text, UserWarning, "x.py", 1, ""))


def test_messages_have_a_length() -> None:
    error = Sb3portError("x" * 60_000, "y" * 60_000)
    assert error.message.startswith("x" * LONGEST)
    assert error.message.endswith("… (58,000 more characters)")
    assert error.hint is not None
    assert len(error.hint) < LONGEST + 50


@pytest.mark.parametrize("prose", ["run it", f"{'y' * 60_000}, run it", f"a: b: {'y' * 3_000}, run it"])
def test_a_command_in_a_hint_stays_whole(prose: str) -> None:
    command = f"sb3port eval {'x' * 1_900} --env 'a: b'"
    hint = Sb3portError("", f"{prose}: {command}").hint
    assert hint is not None
    assert hint.endswith(f": {command}")
    assert len(hint) < LONGEST + 50


def test_lines_that_are_meant_stay_lines() -> None:
    assert shown_lines("a\nb\x1b").plain == "a\nb\\x1b"


def test_honest_texts_stay_as_they_are() -> None:
    for text in ("Größe", "模型", "ผู้ใหญ่", "नमस्ते", "☑️", "a\\b", "[1, 2]"):
        assert shown(text).plain == text


def test_bars_have_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    printed = Terminal()
    console = Console(file=printed, force_terminal=True, width=100)
    assert list(track(console, [1], shown("[/]"))) == [1]
    assert "[/]" in printed.getvalue()
