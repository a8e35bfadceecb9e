"""A bar with the time that is left and a text; apart from `output` because Rich takes time to import."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from typing_extensions import Self


class ProgressBar:
    """A bar on a terminal, nothing elsewhere.

    Args:
        console: Where it is drawn.
        name: What is done.
        shown: Whether it is drawn.
    """

    def __init__(self, console: Console, name: str, shown: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self._bar = Progress(*columns, console=console, transient=True, disable=not shown)
        self._task = self._bar.add_task(name, start=False, total=None, text="")

    def begin(self, done: int, total: int) -> None:
        """Start the clock."""
        self._bar.start_task(self._task)
        self._bar.update(self._task, completed=done, total=total)

    def update(self, done: int, text: str) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, text=text)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
