"""The command as a whole: help, usage errors, bugs of ours, and streams."""

import importlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from sb3port import __version__, errors
from sb3port.cli.app import app
from sb3port.cli.panels import PANELS
from sb3port.commands import convert as conversion

from .conftest import CARTPOLE, PENDULUM, Cli

GROUP = typer.main.get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = tuple(GROUP.commands)
CONTRACT = {
    errors.VerificationFailed: 1,
    errors.TrainingDiverged: 1,
    errors.RankLost: 1,
    errors.UsageError: 2,
    errors.NeedsOption: 2,
    errors.EnvironmentFailed: 2,
    errors.UnfitInput: 2,
    errors.NoAction: 2,
    errors.UnknownChoice: 2,
    errors.SourceUnreachable: 3,
    errors.NotPortable: 4,
    errors.BrokenReport: 4,
    errors.MalformedPickle: 4,
    errors.Unsafe: 5,
    errors.Sb3portError: 70,
}


def _error_classes(base: type[errors.Sb3portError]) -> Iterator[type[errors.Sb3portError]]:
    yield base
    for child in base.__subclasses__():
        yield from _error_classes(child)


def test_every_error_has_the_exit_code_of_the_contract() -> None:
    found = {kind: kind.exit_code for kind in _error_classes(errors.Sb3portError)}
    public = {kind: code for kind, code in found.items() if kind.__module__ == errors.__name__}
    assert public == CONTRACT
    assert set(found.values()) == set(CONTRACT.values())


def test_help_documents_every_exit_code(cli: Cli) -> None:
    documented = re.findall(r"^ {2,6}(\d+)  \w", cli("--help").out, re.MULTILINE)
    assert [int(code) for code in documented] == [0, *sorted(set(CONTRACT.values()))]


@pytest.mark.parametrize("name", COMMANDS)
def test_everything_has_help(name: str) -> None:
    command = GROUP.commands[name]
    assert command.help
    assert [param.name for param in command.params if not param.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_right(name: str) -> None:
    options = {option for param in GROUP.commands[name].params for option in param.opts}
    for example in importlib.import_module(f"sb3port.cli.{name}").EXAMPLES:
        assert example.startswith(f"sb3port {name} ")
        assert set(re.findall(r"--[a-z-]+", example)) <= options


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=lambda c: " ".join(c) or "app")
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_fits_eighty_columns(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], option: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = cli(*command, option)
    result_lines = result.out.splitlines()
    assert result.code == 0
    assert result_lines[0].startswith("Usage: sb3port")
    assert max(map(len, result_lines)) <= 80
    assert "..." not in result.out.partition("\nPort it:")[2]  # no sentence is cut
    assert not re.search(r"<(str|int|bool|path)|\[bold\]|\x1b|[{}]", result.out)


def test_version(cli: Cli) -> None:
    result = cli("--version")
    assert (result.code, result.out, result.err) == (0, f"sb3port {__version__}\n", "")


def test_no_arguments_show_the_help(cli: Cli) -> None:
    result = cli()
    assert (result.code, result.err) == (0, "")
    assert result.out == cli("--help").out
    groups = re.findall(r"^(\w+ it):\n((?:  \w.*\n)+)", result.out, re.MULTILINE)
    assert [title for title, _ in groups] == ["Port it", "Trust it", "Run it", "Train it", "Share it"]
    assert [line.split()[0] for _, lines in groups for line in lines.splitlines()] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_panels(cli: Cli, name: str) -> None:
    out = cli(name, "--help").out
    panels = re.findall(r"^(\w+):$", out, re.MULTILINE)
    known = ["Arguments", *PANELS]
    assert panels == [panel for panel in known if panel in panels]
    assert panels[-1] == "Output"
    required = [param for param in GROUP.commands[name].params if param.required]
    assert out.count("[required]") == len(required)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("convert",), "SOURCE"),
        (("convert", "a", "--bogus"), "--bogus"),
        (("bogus",), "bogus"),
        (("eval",), "PORT"),
        (("eval", "port", "--env", "X", "--episodes", "0"), "--episodes"),
        (("eval", "port", "--env", "X", "--episodes", "many"), "--episodes"),
        (("convert", "a", "b", "c"), "c"),
    ],
)
def test_usage_errors(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    cli(*arguments).fails(2, message)


def test_bug_of_ours(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("the roof is on fire")

    monkeypatch.setattr(conversion, "read_guarded", bug)
    result = cli("convert", PENDULUM)
    assert result.code == 70
    assert "Traceback" in result.err
    assert "RuntimeError: the roof is on fire" in result.err
    assert result.err.endswith(
        f"error: this is a bug in sb3port {__version__}; please report it with the lines above\n"
    )
    assert result.out == ""


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stdout and stderr one terminal of 80 columns."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


CALLS = (
    ("convert", PENDULUM, "new"),
    ("inspect", CARTPOLE),
    ("diff", PENDULUM, CARTPOLE),
    ("verify", "port"),
    ("verify", "port", "-v"),
    ("eval", "port", "--env", "Pendulum-v1", "--episodes", 2),
    ("eval", "port", "--env", "CartPole-v1"),
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_output_fits_a_narrow_terminal(
    cli: Cli, port: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[object, ...]
) -> None:
    stream = terminal(monkeypatch)
    cli(*call)
    shown = stream.getvalue()
    assert "\x1b[1m" in shown or "\x1b[1;" in shown
    # Lines that a spinner or a progress bar erased are not there any more.
    lines = [line.rpartition("\x1b[2K")[2] for line in shown.splitlines()]
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in lines]
    too_long = [line for line in lines if len(line.rstrip()) > 80 and len(line.split()) > 1]
    assert too_long == []


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_no_color(cli: Cli, port: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[object, ...]) -> None:
    stream = terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    cli(*call)
    assert stream.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", stream.getvalue())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_no_escape_codes_without_a_terminal(cli: Cli, port: Path, call: tuple[object, ...]) -> None:
    result = cli(*call)
    assert "\x1b" not in result.out + result.err
    assert result.out + result.err
