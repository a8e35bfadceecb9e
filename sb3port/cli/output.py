"""The one place where the command line prints.

stdout carries the result: a summary for people, its essence with `--quiet`, one JSON object with `--json`.
Everything else goes to stderr: stages, progress, warnings, hints and errors.
"""

import io
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from json import dumps
from typing import TYPE_CHECKING, Any

from sb3port.errors import LONGEST, Sb3portError, shortened_hint
from sb3port.files.texts.characters import one_line
from sb3port.files.texts.json_text import json_text
from sb3port.files.texts.media import Medium
from sb3port.files.texts.terminal import TerminalText, shown, shown_lines, styled, terminal

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from sb3port.cli.console import OutputConsole
    from sb3port.cli.progress_bar import ProgressBar
    from sb3port.commands.bulk.running import Progress

_GAP = 2
_NOTHING = terminal("")
_LONGEST_FIELD = 20_000  # an honest Dict has a description of some thousand characters


class Output:
    """Prints what a command has to say, on the streams as they are when it is first used.

    All that it prints is `TerminalText`, so that no text of a stranger steers the terminal.

    Args:
        as_json: Print the result as one JSON object.
        quiet: Print neither stages nor hints, and only the essence of the result.
        verbose: Print details, too.
        is_mute: Print nothing at all, because another process does.
    """

    def __init__(
        self, as_json: bool = False, quiet: bool = False, verbose: bool = False, is_mute: bool = False
    ) -> None:
        self.as_json, self.quiet, self.verbose, self._is_mute = as_json, quiet, verbose, is_mute

    def stage(self, name: TerminalText, text: TerminalText) -> None:
        """Say that a stage of the work is done, and what came of it."""
        if not self.quiet:
            _print_named(
                self._stderr, styled("bold cyan", "{}", f"{name.plain:<8}"), text.shortened(_LONGEST_FIELD)
            )

    def warn(self, text: TerminalText) -> None:
        """Say something that the user should know before relying on the result."""
        _print_named(self._stderr, styled("bold yellow", "warning: "), text.shortened(LONGEST))

    def hint(self, text: TerminalText) -> None:
        """Say what could be done next."""
        if not self.quiet:
            _print_named(self._stderr, styled("dim", "hint: "), text)

    def error(self, error: Sb3portError) -> None:
        """Print an error that is not our bug: what is wrong, then what to do."""
        message = shown(error.message).shortened(LONGEST)
        _print_named(self._stderr, styled("bold red", "error: "), message)
        if error.hint:
            hint = shown(shortened_hint(one_line(error.hint)))
            _print_named(self._stderr, styled("dim", "hint: "), hint)

    def bug(self, trace: str, sentence: TerminalText) -> None:
        """Print what only we can mend: where it happened, and then a sentence."""
        for line in trace.rstrip("\n").split("\n"):
            self._stderr.print(_rich(shown(line).shortened(LONGEST)), soft_wrap=True)
        _print_named(self._stderr, styled("bold red", "error: "), sentence)

    @contextmanager
    def working(self, text: TerminalText) -> Iterator[Callable[[TerminalText], None]]:
        """Show on a terminal that something takes its time; give what shows another text."""
        if self.quiet or not self._stderr.is_terminal:
            yield lambda _: None
            return
        with self._stderr.status(_on_one_line(text)) as status:
            yield lambda text: status.update(_on_one_line(text))

    def track(self, items: Sequence[int], name: TerminalText) -> Iterable[int]:
        """Draw a progress bar on a terminal while iterating."""
        if self.quiet or not self._stderr.is_terminal:
            return items
        from sb3port.cli.progress_bar import track

        return track(self._stderr, items, name)

    def tracker(self, spinner: ExitStack, name: TerminalText) -> Callable[[Sequence[int]], Iterable[int]]:
        """Give a `track` that ends a spinner first: what was loading is loaded then."""

        def track(items: Sequence[int]) -> Iterable[int]:
            spinner.close()
            return self.track(items, name)

        return track

    @contextmanager
    def progress(self, name: TerminalText) -> "Iterator[ProgressBar]":
        """Draw a progress bar on a terminal, of work whose length is known later."""
        from sb3port.cli.progress_bar import ProgressBar

        shown = not self.quiet and self._stderr.is_terminal
        with ProgressBar(self._stderr, name, shown) as bar:
            yield bar

    @contextmanager
    def table_of_progress(self) -> "Iterator[Callable[[Progress], None]]":
        """Draw on a terminal how far a bulk run is."""
        if self.quiet or not self._stderr.is_terminal:
            yield lambda _: None
            return
        from sb3port.cli.bulk_progress import bulk_progress

        with bulk_progress(self._stderr) as show:
            yield show

    def result(self, schema: str, content: Mapping[str, Any], essence: TerminalText) -> bool:
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
            self._stdout.out(json_text(_strict(whole), indent=2).text)
        elif self.quiet:
            self._stdout.out(essence.plain)
        return self.as_json or self.quiet

    def text(self, text: Medium) -> None:
        """Print a file's content as it is."""
        self._stdout.out(shown_lines(text.text).plain, end="")

    def line(self, text: TerminalText = _NOTHING) -> None:
        """Print a line of the result for people."""
        self._stdout.print(_rich(text.shortened(_LONGEST_FIELD)), soft_wrap=True)

    def lines(self, rows: Iterable[TerminalText], indent: int = 0) -> None:
        """Print lines of the result."""
        for row in rows:
            _print_named(self._stdout, terminal("{}", " " * indent), row.shortened(_LONGEST_FIELD))

    def fields(self, rows: Mapping[TerminalText, TerminalText], indent: int = 0) -> None:
        """Print names and values in two columns."""
        width = max((len(name.plain) for name in rows), default=0) + _GAP
        for name, value in rows.items():
            label = styled("bold", "{}{}", " " * indent, f"{name.plain:<{width}}")
            _print_named(self._stdout, label, value.shortened(_LONGEST_FIELD))

    def table(self, columns: Sequence[TerminalText], rows: Sequence[Sequence[TerminalText]]) -> None:
        """Print a table; cells are folded, and columns of numbers are right-aligned."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for index, column in enumerate(columns):
            numeric = all(row[index].plain[:1] in "0123456789-" for row in rows) and bool(rows)
            table.add_column(_rich(column), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_rich(cell.shortened(LONGEST)) for cell in row))
        self._stdout.print(table)

    @cached_property
    def _stdout(self) -> "OutputConsole":
        from sb3port.cli.console import OutputConsole

        return OutputConsole(io.StringIO() if self._is_mute else sys.stdout)

    @cached_property
    def _stderr(self) -> "OutputConsole":
        from sb3port.cli.console import OutputConsole

        return OutputConsole(io.StringIO() if self._is_mute else sys.stderr)


def _strict(value: Any) -> Any:
    """Write infinite bounds and the like as strings: JSON has no numbers for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return dumps(value)
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list | tuple) else value


def _rich(text: TerminalText) -> "Text":
    """Give a text as Rich prints it; a `str` it would take for markup in some places."""
    from rich.text import Text

    return Text.assemble(*((span.text, span.style) for span in text.spans))


def _on_one_line(text: TerminalText) -> "Group":
    """Give a text that is cut where the line ends: it is drawn over and over."""
    from rich.console import Group

    line = _rich(text)
    line.no_wrap, line.overflow = True, "ellipsis"
    return Group(line)  # a `Text` alone would lose both beside the spinner


def _print_named(console: "OutputConsole", name: TerminalText, text: TerminalText) -> None:
    """Print a name and its text, on a terminal folded between words, further lines below the first."""
    width = len(name.plain)
    for index, line in enumerate(_folded(console, text, width)):
        label = name if index == 0 else terminal("{}", " " * width)
        console.print(_rich(label).append_text(_rich(line)), soft_wrap=True)


def _folded(console: "OutputConsole", text: TerminalText, indent: int) -> list[TerminalText]:
    """Give the lines of a text, which have no styles where they are folded."""
    if not console.is_terminal:
        return text.lines()
    width = max(console.width - indent, 20)
    return [part for line in text.lines() for part in _fold(line, width)]


def _fold(line: TerminalText, width: int) -> list[TerminalText]:
    if len(line.plain) <= width:
        return [line]
    # Paths and commands stay whole, so that they can be copied.
    parts = textwrap.wrap(line.plain, width, break_long_words=False, break_on_hyphens=False)
    return [shown(part) for part in parts]
