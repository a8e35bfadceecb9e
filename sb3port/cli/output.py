"""The one place where the command line prints.

stdout carries the result: a summary for people, its essence with `--quiet`, one JSON object with `--json`.
Everything else goes to stderr: stages, progress, warnings, hints and errors.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sb3port.errors import Sb3portError

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 140


class Output:
    """Prints what a command has to say.

    Args:
        as_json: Print the result as one JSON object.
        quiet: Print neither stages nor hints, and only the essence of the result.
        verbose: Print details, too.
    """

    def __init__(self, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose

    def stage(self, name: str, text: str) -> None:
        """Say that a stage of the work is done, and what came of it."""
        if not self.quiet:
            self._stderr.print(f"[bold cyan]{name:<8}[/]{_escape(text)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        """Say something that the user should know before relying on the result."""
        self._stderr.print(f"[bold yellow]warning:[/] {_escape(text)}", soft_wrap=True)

    def hint(self, text: str) -> None:
        """Say what could be done next."""
        if not self.quiet:
            self._stderr.print(f"[dim]hint:[/] {_escape(text)}", soft_wrap=True)

    def detail(self, text: str) -> None:
        """Say something that only `--verbose` asks for."""
        if self.verbose:
            self._stderr.print(f"[dim]{_escape(text)}[/]", soft_wrap=True)

    def error(self, error: Sb3portError) -> None:
        """Print an error that is not our bug: what is wrong, then what to do."""
        self._stderr.print(f"[bold red]error:[/] {_escape(error.message)}", soft_wrap=True)
        if error.hint:
            self._stderr.print(f"[dim]hint:[/] {_escape(error.hint)}", soft_wrap=True)

    def result(self, schema: str, content: Mapping[str, Any], essence: str) -> bool:
        """Print the result where it is JSON or quiet.

        Args:
            schema: What the JSON object is, such as "sb3port.convert".
            content: Its fields.
            essence: The one line that `--quiet` prints.

        Returns:
            Whether it was printed; if not, the command prints it for people.
        """
        if self.as_json:
            sys.stdout.write(json.dumps({"schema": schema, "version": 1, **content}, indent=2) + "\n")
        elif self.quiet:
            sys.stdout.write(essence + "\n")
        return self.as_json or self.quiet

    def line(self, text: str = "") -> None:
        """Print a line of the result for people."""
        self._stdout.print(text, soft_wrap=True)

    def fields(self, rows: Mapping[str, str], indent: int = 0) -> None:
        """Print names and values in two columns."""
        width = max(map(len, rows), default=0) + 2
        for name, value in rows.items():
            first, *rest = value.splitlines() or [""]
            self.line(f"{' ' * indent}[bold]{_escape(name):<{width}}[/]{_escape(first)}")
            for more in rest:
                self.line(" " * (indent + width) + _escape(more))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; cells may hold Rich markup, and columns of numbers are right-aligned."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
        for index, column in enumerate(columns):
            numeric = all(row[index][:1] in "0123456789-" for row in rows) and bool(rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._stdout.print(table)

    @property
    def _stdout(self) -> "Console":
        return _console(stderr=False)

    @property
    def _stderr(self) -> "Console":
        return _console(stderr=True)


def _console(stderr: bool) -> "Console":
    """Make a console for the stream as it is now; colours only on a terminal, and never with NO_COLOR."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
