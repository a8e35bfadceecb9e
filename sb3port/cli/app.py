"""The `sb3port` command: wiring, and the one place where errors become exit codes."""

import io
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

from sb3port.checkpoint.version import __version__
from sb3port.cli import (
    bulk,
    compare,
    convert,
    diff,
    export,
    finetune,
    inspect,
    push,
    record,
    repair,
    report,
    scan,
    train,
    verify,
)
from sb3port.cli import eval as evaluation
from sb3port.cli import latency as latencies
from sb3port.cli.environment_options import completed
from sb3port.cli.help import Command, Commands, examples, exit_codes
from sb3port.cli.lerobot_words import from_lerobot
from sb3port.cli.output import Output
from sb3port.commands.failures import known_error
from sb3port.errors import NeedsOption, Sb3portError
from sb3port.files.budget import budget, factor
from sb3port.files.texts.characters import lines
from sb3port.files.texts.media import joined
from sb3port.files.texts.source_code import ShellCode, shell
from sb3port.files.texts.terminal import terminal
from sb3port.ppo.ranks.joining import speaks

_PLAIN_WARNING = warnings.formatwarning

app = typer.Typer(
    name="sb3port",
    cls=Commands,
    help="Port Stable-Baselines3 checkpoints to LeRobot policies, and prove that nothing changed.",
    epilog=exit_codes(),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# The groups of the help, with the name, the function and the module of each command.
_GROUPS: dict[str, tuple[tuple[str, Callable[..., None], Any], ...]] = {
    "Port it": (
        ("convert", convert.convert, convert),
        ("export", export.export, export),
        ("repair", repair.repair, repair),
        ("bulk", bulk.bulk, bulk),
    ),
    "Trust it": (
        ("inspect", inspect.inspect, inspect),
        ("scan", scan.scan, scan),
        ("verify", verify.verify, verify),
        ("diff", diff.diff, diff),
        ("report", report.report, report),
    ),
    "Run it": (
        ("eval", evaluation.evaluate, evaluation),
        ("record", record.record, record),
        ("latency", latencies.latency, latencies),
    ),
    "Train it": (
        ("train", train.train, train),
        ("finetune", finetune.finetune, finetune),
        ("compare", compare.compare, compare),
    ),
    "Share it": (("push", push.push, push),),
}
for _group, _commands in _GROUPS.items():
    for _name, _run, _module in _commands:
        _add = app.command(_name, cls=Command, epilog=examples(_module.EXAMPLES), rich_help_panel=_group)
        _add(_run)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sb3port {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Hold the options that belong to no command."""


def main() -> None:
    """Run the command line; the exit code says how it ended (see `sb3port.errors`)."""
    _prepare_process()
    try:
        with budget(factor()):
            app(prog_name="sb3port")
    except Exception as error:
        if (known := known_error(error)) is not None:
            _fail(known)
        speaks()  # so that the other processes of a training do not
        sentence = terminal("this is a bug in sb3port {}; please report it with the lines above", __version__)
        Output().bug(traceback.format_exc(), sentence)
        sys.exit(Sb3portError.exit_code)


def _prepare_process() -> None:
    """End by SIGTERM as by Ctrl-C, which removes temporary folders; no character is too much for a stream.

    What other packages warn of is escaped as well: it may have names from a file in it.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _warning_lines
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_LogFormatter())


def _warning_lines(*told: Any, **more: Any) -> str:
    return lines(_PLAIN_WARNING(*told, **more))


class _LogFormatter(logging.Formatter):
    """Shows what packages log that nobody has asked to log anything."""

    def format(self, record: logging.LogRecord) -> str:
        return lines(super().format(record))


def _fail(error: Sb3portError) -> None:
    if isinstance(error, NeedsOption):
        words = (shell("{}", word) for word in completed(from_lerobot(sys.argv[1:]), error.options))
        error.hint = f"{error.when} run: {joined(ShellCode, ' ', (shell('sb3port'), *words))}"
    if speaks():
        Output().error(error)
    sys.exit(error.exit_code)
