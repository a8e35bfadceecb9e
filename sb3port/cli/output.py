"""The one place where the command line prints.

stdout carries the result: a summary for people, its essence with `--quiet`, one JSON object with `--json`.
Everything else goes to stderr: stages, progress, warnings, hints and errors.
"""

import json
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sb3port.errors import Sb3portError
from sb3port.files.escaping import visible

if TYPE_CHECKING:
    from sb3port.cli.console import OutputConsole
    from sb3port.cli.progress_bar import ProgressBar

_GAP = 2


class Output:
    """Prints what a command has to say, on the streams as they are when it is first used.

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
            _print_named(self._stderr, f"{name:<8}", text, "bold cyan")

    def warn(self, text: str) -> None:
        """Say something that the user should know before relying on the result."""
        _print_named(self._stderr, "warning: ", text, "bold yellow")

    def hint(self, text: str) -> None:
        """Say what could be done next."""
        if not self.quiet:
            _print_named(self._stderr, "hint: ", text, "dim")

    def error(self, error: Sb3portError) -> None:
        """Print an error that is not our bug: what is wrong, then what to do."""
        _print_named(self._stderr, "error: ", error.message, "bold red")
        if error.hint:
            _print_named(self._stderr, "hint: ", error.hint, "dim")

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show on a terminal that something takes its time."""
        if self.quiet or not self._stderr.is_terminal:
            yield
            return
        with self._stderr.status(text):
            yield

    def track(self, items: Sequence[int], name: str) -> Iterable[int]:
        """Draw a progress bar on a terminal while iterating."""
        if self.quiet or not self._stderr.is_terminal:
            return items
        from rich.progress import track

        return track(items, name, console=self._stderr, transient=True)

    def tracker(self, spinner: ExitStack, name: str) -> Callable[[Sequence[int]], Iterable[int]]:
        """Give a `track` that ends a spinner first: what was loading is loaded then."""

        def track(items: Sequence[int]) -> Iterable[int]:
            spinner.close()
            return self.track(items, name)

        return track

    @contextmanager
    def progress(self, name: str) -> "Iterator[ProgressBar]":
        """Draw a progress bar on a terminal, of work whose length is known later."""
        from sb3port.cli.progress_bar import ProgressBar

        shown = not self.quiet and self._stderr.is_terminal
        with ProgressBar(self._stderr, name, shown) as bar:
            yield bar

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
            whole = {"schema": schema, "version": 1, **content}
            self._stdout.out(json.dumps(_strict(whole), indent=2, allow_nan=False))
        elif self.quiet:
            self._stdout.out(essence)
        return self.as_json or self.quiet

    def text(self, text: str) -> None:
        """Print a file's content as it is."""
        self._stdout.out(text, end="")

    def line(self, text: str = "") -> None:
        """Print a line of the result for people, which may hold Rich markup."""
        self._stdout.print(text, soft_wrap=True)

    def lines(self, rows: Iterable[str], indent: int = 0) -> None:
        """Print lines of the result as they are, without markup."""
        for row in rows:
            _print_named(self._stdout, " " * indent, row, "")

    def fields(self, rows: Mapping[str, str], indent: int = 0) -> None:
        """Print names and values in two columns."""
        width = max(map(len, rows), default=0) + _GAP
        for name, value in rows.items():
            _print_named(self._stdout, " " * indent + f"{name:<{width}}", value, "bold")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; cells may hold Rich markup, and columns of numbers are right-aligned."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for index, column in enumerate(columns):
            numeric = all(row[index][:1] in "0123456789-" for row in rows) and bool(rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._stdout.print(table)

    @cached_property
    def _stdout(self) -> "OutputConsole":
        from sb3port.cli.console import OutputConsole

        return OutputConsole(sys.stdout)

    @cached_property
    def _stderr(self) -> "OutputConsole":
        from sb3port.cli.console import OutputConsole

        return OutputConsole(sys.stderr)


def _strict(value: Any) -> Any:
    """Write infinite bounds and the like as strings: JSON has no numbers for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list | tuple) else value


def _print_named(console: "OutputConsole", name: str, text: str, style: str) -> None:
    """Print a name and its text, on a terminal folded between words, further lines below the first."""
    from rich.text import Text

    lines = [part for line in visible(text).split("\n") for part in _fold(console, line, len(name))]
    for index, line in enumerate(lines):
        label = Text(visible(name), style) if index == 0 else Text(" " * len(name))
        console.print(label.append(line, "not bold not dim default"), soft_wrap=True)


def _fold(console: "OutputConsole", line: str, indent: int) -> list[str]:
    if not console.is_terminal:
        return [line]
    width = max(console.width - indent, 20)
    # Paths and commands stay whole, so that they can be copied.
    return textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
