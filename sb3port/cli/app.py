"""The `sb3port` command: wiring, and the one place where errors become exit codes."""

import sys
import traceback
from typing import Annotated

import typer

from sb3port.cli.convert import convert
from sb3port.cli.eval import evaluate
from sb3port.cli.inspect import inspect
from sb3port.cli.output import Output
from sb3port.cli.verify import verify
from sb3port.errors import Sb3portError

_OUR_BUG = 70

app = typer.Typer(
    name="sb3port",
    help="Port Stable-Baselines3 checkpoints to LeRobot policies, and prove that nothing changed.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("convert")(convert)
app.command("inspect")(inspect)
app.command("verify")(verify)
app.command("eval")(evaluate)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sb3port import __version__

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
    try:
        app()
    except Sb3portError as error:
        Output().error(error)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        sys.stderr.write("error: this is a bug in sb3port; please report it with the lines above\n")
        sys.exit(_OUR_BUG)
