"""`sb3port verify`: is a port still what its source is?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output

if TYPE_CHECKING:
    from sb3port.parity.report import Check, ParityReport

_COLOURS = {"bit-exact": "green", "within noise": "cyan", "fail": "bold red"}


def verify(
    port: options.Port,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the source is now, if not where the port was made from."),
    ] = None,
    observations: Annotated[
        Path | None,
        typer.Option(metavar="NPZ", help="Recorded observations and outputs to compare with."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Demand the same bits, not only the same numbers.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Compare a port with its source: tensors, normaliser, actions, values, log-probabilities and entropies.

    The source is read anew, and SB3's own policy class is built from it. Exit code 0 says that parity holds.

    [bold]Examples[/]

      sb3port verify ports/ppo-Pendulum-v1

      sb3port verify ports/ppo-Pendulum-v1 --exact --json
    """
    from sb3port.conversion import verify as run

    output = Output(json, quiet, verbose)
    report = run(port, source, observations)
    if not output.result("sb3port.verify", report.to_json(), str(report.verdict)):
        print_report(output, report)
    if not report.holds(exact):
        raise typer.Exit(1)


def print_report(output: Output, report: "ParityReport") -> None:
    """Print a parity report for people: one line per check, then the verdict."""
    columns = ("compared with", "what", "verdict", "max diff", "mean diff", "ULP", "oracle noise")
    output.table(columns, [_row(check) for check in report.checks])
    output.line()
    output.line(f"[bold]{report.count}[/] observations {report.observations}")
    colour = _COLOURS.get(report.verdict, "bold yellow")
    output.line(f"[bold]verdict[/]  [{colour}]{report.verdict}[/]")
    if not report.holds() and (worst := report.worst) is not None:
        from sb3port.parity.report import describe

        output.fields({"worst": describe(worst)})


def _row(check: "Check") -> tuple[str, ...]:
    against, _, what = check.id.partition(".")
    outcome = check.comparison
    colour = _COLOURS.get(outcome.verdict, "bold yellow")
    ulp = "" if outcome.max_ulp is None else str(outcome.max_ulp)
    numbers = (_number(outcome.max_abs), _number(outcome.mean_abs), ulp, _number(outcome.noise))
    return (_AGAINST[against], what.replace("_", " "), f"[{colour}]{outcome.verdict}[/]", *numbers)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value else "0"


_AGAINST = {"source": "source file", "oracle": "SB3, here", "recorded": "SB3, recorded"}
