"""How the help of a command looks: plain text, the same on a terminal and in a pipe."""

import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from sb3port.cli.environment_options import repeated
from sb3port.errors import LONGEST
from sb3port.files.texts.terminal import shown

_TYPE_NAME = re.compile(r" <[\w\[\]]+>$")
# Of any wrong argument; where it can be imported from depends on the version of Typer.
_Refusal: Any = typer.BadParameter.__base__
_INTERRUPTED = 128 + signal.SIGINT
_NO_BRACES = str.maketrans("", "", "{}")
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
    """A command whose help names no Python types and has no braces around arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line."""
        return super().parse_args(ctx, repeated(args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the usage line, `[OPTIONS] SOURCE [DEST]`."""
        return [piece.translate(_NO_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and then the options, each with its help."""
        for kind, title in (("argument", "Arguments"), ("option", "Options")):
            params = [param for param in self.get_params(ctx) if param.param_type_name == kind]
            records = [record for param in params if (record := param.get_help_record(ctx))]
            if not records:
                continue
            with formatter.section(title):
                formatter.write_dl([(_TYPE_NAME.sub("", name), text) for name, text in records])


class Commands(TyperGroup):
    """The commands; what is said of wrong arguments, such as names of files, steers no terminal."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the options that belong to no command."""
        with _harmless_refusals():
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:
        """Read the arguments of a command, and run it."""
        with _harmless_refusals():
            return super().invoke(ctx)


@contextmanager
def _harmless_refusals() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except _Refusal as refusal:
        if type(refusal).__name__ != "NoArgsIsHelpError":  # whose message is the help
            refusal.message = shown(refusal.message).shortened(LONGEST).plain
        raise


def examples(lines: Iterable[str]) -> str:
    """Give the end of a command's help: lines that can be copied."""
    return _verbatim("Examples:", lines)


def exit_codes() -> str:
    """Give the end of the help: what the exit codes mean."""
    return _verbatim("Exit codes:", (f"{code:>2}  {meaning}" for code, meaning in EXIT_CODES.items()))


def _verbatim(title: str, lines: Iterable[str]) -> str:
    """Give a paragraph that is not wrapped, which is what the control character says."""
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])
