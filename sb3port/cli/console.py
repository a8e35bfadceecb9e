"""The console on which `sb3port.cli.output` prints; apart from it because Rich takes time to import."""

import sys
from typing import TextIO

from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 140
_CLOSED_PIPE = 128 + 13  # as of a program that SIGPIPE ended; 1 would say that a check failed


class OutputConsole(Console):
    """Colours only on a terminal, and never with NO_COLOR; lines are folded only on a terminal.

    Args:
        stream: stdout or stderr, None where the shell closed it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        width = None if stream is not None and stream.isatty() else _WIDTH_WITHOUT_TERMINAL
        super().__init__(file=stream, width=width, highlight=False, emoji=False, markup=False)

    def on_broken_pipe(self) -> None:
        """End without a word when nobody reads on, as in `sb3port inspect SOURCE | head`."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            sys.exit(_CLOSED_PIPE)
