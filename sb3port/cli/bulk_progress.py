"""The live table of a bulk run; apart from `output` because Rich takes time to import."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sb3port.files.texts.terminal import Style, TerminalText, styled, terminal

_WIDTH = 40
_GOOD = ("bit-exact", "done", "clean")
_SOME = ("within noise", "own code", "several")
_MOST_AT_WORK = 4


class BulkProgress:
    """Draws how far a bulk run is.

    Args:
        live: Where it is drawn.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def __call__(self, progress: Any) -> None:
        """Draw it anew.

        Args:
            progress: A `Progress` of `commands.bulk.running`.
        """
        self._live.update(
            Group(_bar(progress), _rich(_rates(progress)), _counts(progress), _at_work(progress))
        )


@contextmanager
def bulk_progress(console: Console) -> Iterator[BulkProgress]:
    """Give what draws, until the block ends; nothing of it stays."""
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield BulkProgress(live)


def _bar(progress: Any) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(
        ProgressBar(total=progress.total or 1, completed=progress.ended, width=_WIDTH),
        _rich(terminal("{:,} of {:,} models", progress.ended, progress.total)),
    )
    return grid


def _rates(progress: Any) -> TerminalText:
    left = progress.seconds_left
    shown = terminal("{} left", _time(left)) if left is not None else terminal("")
    return terminal("{:.1f} a second, {} so far  {}", progress.per_second, _time(progress.seconds), shown)


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _counts(progress: Any) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    for name, count in progress.outcomes.most_common():
        style: Style = "green" if name in _GOOD else "cyan" if name in _SOME else "bold red"
        grid.add_row(_rich(terminal("{:,}", count)), _rich(styled(style, "{}", name)))
    return grid


def _at_work(progress: Any) -> Text:
    names = progress.at_work[:_MOST_AT_WORK]
    more = len(progress.at_work) - len(names)
    text = _rich(styled("dim", "{}{}", "  ".join(names), f"  and {more} more" if more > 0 else ""))
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _rich(text: TerminalText) -> Text:
    return Text.assemble(*((span.text, span.style) for span in text.spans))
