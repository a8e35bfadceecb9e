"""A bar with the time that is left and a text; apart from `output` because Rich takes time to import."""

from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import Self

from sb3port.files.texts.terminal import TerminalText


def track(console: Console, items: Sequence[int], name: TerminalText) -> Iterable[int]:
    """Draw a bar while items are taken."""
    columns = (_text("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(items, description=name.plain)


def _text(form: str) -> ProgressColumn:
    return TextColumn(form, markup=False)


class ProgressBar:
    """A bar on a terminal, nothing elsewhere.

    Args:
        console: Where it is drawn.
        name: What is done.
        shown: Whether it is drawn.
    """

    def __init__(self, console: Console, name: TerminalText, shown: bool) -> None:
        columns = (
            _text("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            _text("{task.fields[text]}"),
        )
        self._bar = Progress(*columns, console=console, transient=True, disable=not shown)
        self._task = self._bar.add_task(name.plain, start=False, total=None, text="")

    def begin(self, done: int, total: int) -> None:
        """Start the clock."""
        self._bar.start_task(self._task)
        self._bar.update(self._task, completed=done, total=total)

    def update(self, done: int, text: TerminalText) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, text=text.plain)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
