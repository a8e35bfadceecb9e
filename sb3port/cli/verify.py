"""`sb3port verify`: is a port still what its source is?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output

if TYPE_CHECKING:
    from sb3port.parity.report import Check, ParityReport

EXAMPLES = (
    "sb3port verify ports/ppo-Pendulum-v1",
    "sb3port verify ports/ppo-Pendulum-v1 --source model.zip --exact --json",
)
_COLOURS = {"bit-exact": "green", "within noise": "cyan", "fail": "bold red"}


def verify(
    port: options.Port,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the source is now, if not where the port was made from."),
    ] = None,
    observations: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="What record wrote: an .npz file or a LeRobotDataset."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Demand the same bits, not only the same numbers.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Compare a port with its source, to the last bit.

    The source is read anew, SB3's own policy class is built from it, and both compute actions, values,
    log-probabilities and entropies on the same observations. Exit code 0 says that parity holds, 1 that it
    does not or that nothing can be said.
    """
    from sb3port.conversion import verify as run

    output = Output(json, quiet, verbose)
    with output.working("loading SB3 and LeRobot, comparing"):
        report = run(port, source, observations)
    if not output.result("sb3port.verify", report.to_json(), str(report.verdict)):
        _print(output, report, exact)
    if not report.holds() and source is None and not report.count:
        output.hint("say with --source where the source is now")
    if not report.holds(exact):
        raise typer.Exit(1)


def _print(output: Output, report: "ParityReport", exact: bool) -> None:
    """Print a report for people: one line per check, then the verdict."""
    from sb3port.parity.report import describe

    rows = {"verdict": f"{report.verdict}{_but(report, exact)}"}
    if report.count:
        columns = ("against", "what", "verdict", "max diff", "ULP", "noise", *_more(output, "mean diff"))
        output.table(columns, [_row(output, check) for check in report.checks])
        output.line()
        rows = {"observations": f"{report.count}, {report.observations}", **rows}
    if not report.holds(exact) and (worst := report.worst) is not None:
        rows["worst"] = describe(worst)
    output.fields(rows)


def _but(report: "ParityReport", exact: bool) -> str:
    return ", but --exact demands bit-exact" if report.holds() and not report.holds(exact) else ""


def _row(output: Output, check: "Check") -> tuple[str, ...]:
    against, _, what = check.id.partition(".")
    outcome = check.comparison
    ulp = "" if outcome.max_ulp is None else str(outcome.max_ulp)
    numbers = (_number(outcome.max_abs), ulp, _number(outcome.noise))
    more = _more(output, _number(outcome.mean_abs))
    return (_AGAINST[against], what.replace("_", " "), _coloured(outcome.verdict), *numbers, *more)


def _more(output: Output, text: str) -> tuple[str, ...]:
    return (text,) if output.verbose else ()


def _coloured(verdict: str) -> str:
    return f"[{_COLOURS.get(verdict, 'bold yellow')}]{verdict}[/]"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value else "0"


_AGAINST = {"source": "the file", "oracle": "SB3 here", "recorded": "recorded"}
