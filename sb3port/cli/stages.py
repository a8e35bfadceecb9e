"""The stages of a job, announced as they end, with a spinner while the long one goes on."""

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sb3port.cli.output import Output
from sb3port.files.texts.terminal import shown, terminal
from sb3port.parity.checks.progress import heard_by

if TYPE_CHECKING:
    from sb3port.commands.convert import Announce


def stages(output: Output, spinner: ExitStack, verify: bool) -> "Announce":
    """Give what announces stages, with the time that each took where details are wanted.

    Args:
        output: Where they are printed.
        spinner: Closed when a stage ends.
        verify: Whether a comparison follows the stage "write".
    """
    last = time.perf_counter()

    def announce(name: str, text: str) -> None:
        nonlocal last
        now = time.perf_counter()
        spinner.close()
        took = terminal(" ({:.2f} s)", now - last) if output.verbose else terminal("")
        output.stage(shown(name), terminal("{}{}", text, took))
        if name == "write" and verify:
            show = spinner.enter_context(output.working(terminal("verify  loading SB3")))
            spinner.enter_context(heard_by(lambda what: show(terminal("verify  {}", what))))
        last = now

    return announce
