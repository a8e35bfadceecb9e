"""The reference of all commands, from the program itself."""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer

from sb3port.cli.app import app
from sb3port.cli.help import EXIT_CODES
from sb3port.cli.panels import panels_of

_INTRODUCTION = """# Commands

Made from the program of this version; `sb3port COMMAND --help` says the same. Results go to stdout; progress,
warnings and hints go to stderr.

"""
_TYPE_NAME = re.compile(r" <[^>]*>$")
_MARKS = re.compile(r"([\\`*_\[\]])")


def command_reference() -> str:
    """Give the page, in Markdown."""
    group = typer.main.get_command(app)
    context = group.make_context("sb3port", [], resilient_parsing=True)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    shown = {name: command for name, command in commands.items() if not command.hidden}
    sections = ("\n".join(_section(name, command, context)) for name, command in shown.items())
    return "\n".join([_INTRODUCTION, *_exit_codes(), *sections])


def _exit_codes() -> Iterator[str]:
    yield from ("## Exit codes {#exit-codes}", "", "| exit code | meaning |", "|---:|---|")
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    yield ""


def _section(name: str, command: Any, above: Any) -> Iterator[str]:
    """One command: what it does, how it is called, its arguments and options by panel, examples."""
    context = type(above)(command, info_name=name, parent=above)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"## {name} {{#{name}}}", "", *_paragraphs(command.help or ""), "")
    yield from ("```text", f"sb3port {name} {usage}", "```", "")
    for panel, params in _panels(command, context).items():
        yield from (f"**{panel}**", "", "| | |", "|---|---|", *params, "")
    if examples := _examples(command.epilog or ""):
        yield from ("**Examples**", "", "```text", *examples, "```", "")


def _panels(command: Any, context: Any) -> dict[str, list[str]]:
    """Give the rows of all parameters that `--help` shows, by the panel that they are in there."""
    return {
        title: [_row(*record) for param in params if (record := param.get_help_record(context))]
        for title, params in panels_of(command.get_params(context))
    }


def _row(name: str, text: str) -> str:
    shown = html.escape(_TYPE_NAME.sub("", name), quote=False).replace("|", "&#124;")
    return f"| <code>{shown}</code> | {_plain(text)} |"


def _paragraphs(text: str) -> Iterable[str]:
    """Give the paragraphs of a help text; a control character marks those that are not wrapped."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            yield from ("```text", *paragraph.lstrip(" \b\n").splitlines(), "```", "")
        else:
            yield from (_plain(paragraph), "")


def _plain(text: str) -> str:
    """Give a text in one line, in which no character has a meaning for Markdown."""
    words = html.escape(" ".join(text.split()), quote=False)
    return _MARKS.sub(r"\\\1", words).replace("|", "&#124;")


def _examples(epilog: str) -> list[str]:
    return [line.strip() for line in epilog.splitlines() if line.strip().startswith("sb3port ")]
