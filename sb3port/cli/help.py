"""How the help looks: plain text in panels, the same on a terminal and in a pipe."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from sb3port.cli.environment_options import repeated
from sb3port.cli.lerobot_words import from_lerobot
from sb3port.cli.panels import panels_of
from sb3port.cli.refusals import in_our_words, no_such_command

_TYPE_NAME = re.compile(r" <[\w\[\]]+>$")
_NO_BRACES = str.maketrans("", "", "{}")
_WIDEST = 26  # of names, beside which their help stands
EXIT_CODES = {
    0: "done, or parity holds",
    1: "the check ran and says no, or cannot say",
    2: "wrong arguments, DEST exists, statistics missing, several candidates",
    3: "the source or the Hub cannot be reached",
    4: "not a checkpoint that can be ported, or a broken port or report",
    5: "refused as unsafe",
    70: "a bug in sb3port",
}


class Command(TyperCommand):
    """A command whose help has panels, names no Python types and has no braces around arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        with in_our_words(ctx):
            return super().parse_args(ctx, repeated(from_lerobot(args)))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the usage line, `[OPTIONS] SOURCE [DEST]`."""
        return [piece.translate(_NO_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options, each with its help, in panels."""
        _write_panels(ctx, formatter, self.get_params(ctx))


class Commands(TyperGroup):
    """The commands, in groups; alone it shows the help."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the options that belong to no command."""
        with in_our_words():
            return super().make_context(*arguments, **more)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None and args[0][:1] != "-":
            raise no_such_command(args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Read the arguments of a command, and run it."""
        with in_our_words():
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by their groups, and then the options."""
        commands: list[tuple[str, Any]] = [
            (name, self.get_command(ctx, name)) for name in self.list_commands(ctx)
        ]
        width = max(len(name) for name, _ in commands)
        for group in dict.fromkeys(command.rich_help_panel for _, command in commands):
            rows = [(name, c.get_short_help_str(100)) for name, c in commands if c.rich_help_panel == group]
            with formatter.section(group):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in rows])
        records = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(records)


def _write_panels(ctx: Any, formatter: Any, params: Sequence[Any]) -> None:
    """Write what all panels have, with the texts one below the other."""
    panels = {}
    for title, found in panels_of(params):
        records = [record for param in found if (record := param.get_help_record(ctx))]
        # Typer 0.16 writes a bracket as Rich wants it.
        panels[title] = [(_TYPE_NAME.sub("", name), text.replace("\\[", "[")) for name, text in records]
    names = [name for rows in panels.values() for name, _ in rows]
    width = min(max(map(len, names)), _WIDEST)
    for title, rows in panels.items():
        with formatter.section(title):
            formatter.write_dl([(f"{name:<{width}}", text) for name, text in rows], col_max=_WIDEST)


def examples(lines: Iterable[str]) -> str:
    """Give the end of a command's help: lines that can be copied."""
    return _verbatim("Examples:", lines)


def exit_codes() -> str:
    """Give the end of the help: what the exit codes mean."""
    return _verbatim("Exit codes:", (f"{code:>2}  {meaning}" for code, meaning in EXIT_CODES.items()))


def _verbatim(title: str, lines: Iterable[str]) -> str:
    """Give a paragraph that is not wrapped, which is what the control character says."""
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])
