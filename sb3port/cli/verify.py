"""`sb3port verify`: is a port still what its source is?"""

from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.files.texts.terminal import Style, TerminalText, shown, shown_rows, styled, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sb3port.parity.comparison.report import Check, ParityReport

EXAMPLES = (
    "sb3port verify ports/ppo-Pendulum-v1",
    "sb3port verify ports/ppo-Pendulum-v1 --source model.zip --exact --json",
    "sb3port verify ports/walker --observations rollout --env Walker2d-v5",
)
_COLOURS: dict[str, Style] = {
    "bit-exact": "green",
    "within noise": "cyan",
    "fail": "bold red",
    "skipped": "dim",
}
_AGAINST = {"source": "the file", "oracle": "SB3 here", "reference": "recorded"}


def verify(
    port: options.Port,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the source is now, if not where the port was made from."),
    ] = None,
    observations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NPZ|DATASET|recorded|drawn|edge|rollout",
            help="What to compare on, again for more. By default what is recorded beside the source, else "
            "drawn; edge cases are added.",
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Gymnasium environment for rollouts, and to compare returns in."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Demand the same bits, not only the same numbers.")
    ] = False,
    atol: Annotated[
        float | None,
        typer.Option(metavar="X", min=0, help="Allow outputs to differ by X, in place of the noise rule."),
    ] = None,
    no_reload: Annotated[
        bool, typer.Option("--no-reload", help="Do not load the port in a second process.")
    ] = False,
    no_masking: options.NoMasking = False,
    report_dir: options.ReportDir = None,
    extractor: options.Extractor = None,
    sandbox: options.Sandbox = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Compare a port with its source, to the last bit.

    The source is read anew, SB3's own policy class is built from it, and both compute normalised
    observations, means or logits, values, log-probabilities, entropies, samples and actions on the same
    observations. Exit code 0 says that parity holds, 1 that it does not or that nothing can be said.
    """
    from sb3port.commands.verify import VerifyOptions
    from sb3port.commands.verify import verify as run
    from sb3port.reports.files import write_reports

    output = Output(json, quiet, verbose)
    named = tuple(observations or ())
    chosen = VerifyOptions(named, env, atol, not no_reload, extractor, sandbox, not no_masking)
    warn_of_missing_walls(output, sandbox)
    with output.working(terminal("loading SB3 and LeRobot, comparing")):
        report = run(port, source, chosen)
    write_reports(report.to_json(), report_dir)
    if not output.result("sb3port.verify", report.to_json(), shown(report.verdict)):
        _print(output, report, exact)
    if report.verdict == "inconclusive" and source is None and not report.count:
        output.hint(terminal("say with --source where the source is now"))
    if not report.holds(exact):
        raise typer.Exit(1)


def _print(output: Output, report: "ParityReport", exact: bool) -> None:
    """Print a report for people: a line for each output, with --verbose for each check; then the verdict."""
    from sb3port.parity.comparison.report import describe

    rows = {"verdict": f"{report.verdict}{_but(report, exact)}"}
    more = _more(output, "mean diff", "relative", "times noise", "on")
    columns = ("against", "what", "verdict", "max diff", "ULP", "noise", *more)
    checks = report.checks if output.verbose else _worst_of_each(report.checks)
    output.table([shown(column) for column in columns], [_row(output, check) for check in checks])
    output.line()
    rows = {**(_observations(report) if report.count else {}), **rows}
    told = {check.stage: check.comparison.reason for check in report.checks if check.informational}
    if not report.holds(exact) and (worst := report.worst) is not None:
        rows["worst"] = describe(worst)
    output.fields(shown_rows(rows | told))


def _but(report: "ParityReport", exact: bool) -> str:
    if report.holds() and not report.holds(exact):
        return ", but --exact demands bit-exact"
    atol = report.tolerance.atol
    return f", with --atol {atol:g} in place of the noise rule" if atol is not None else ""


def _observations(report: "ParityReport") -> dict[str, str]:
    """Say what outputs were compared on, and how much of it was clipped."""
    shares = {s.set: s.clipped_share for s in report.observations if s.clipped_share is not None}
    clipped = ", ".join(f"{share:.1%} of {name}" for name, share in shares.items())
    label = ", ".join(f"{summary.count} {summary.label}" for summary in report.observations)
    return {"observations": label, **({"clipped": f"{clipped} numbers"} if clipped else {})}


def _worst_of_each(checks: "Sequence[Check]") -> "list[Check]":
    """Give one check for each output, the worst over all observations."""
    from sb3port.parity.comparison.verdicts import Verdict

    found: dict[tuple[str, ...], list[Check]] = {}
    for check in checks:
        found.setdefault((check.against, check.stage, check.output or ""), []).append(check)
    order = list(Verdict)
    return [
        max(same, key=lambda check: (order.index(check.verdict), check.comparison.max_abs))
        for same in found.values()
    ]


def _row(output: Output, check: "Check") -> tuple[TerminalText, ...]:
    outcome = check.comparison
    ulp = "" if outcome.max_ulp is None else str(outcome.max_ulp)
    numbers = (_number(outcome.max_abs), ulp, _number(outcome.noise))
    if not outcome.shape:
        numbers = ("", "", "")
    named = (_AGAINST[check.against], _what(check), _coloured(outcome.verdict))
    mean = _number(outcome.mean_abs), _number(outcome.max_rel), _number(outcome.times_noise)
    return tuple(map(shown, (*named, *numbers, *_more(output, *mean, check.observations or ""))))


def _what(check: "Check") -> str:
    """Name what is compared; the stage only where the output does not tell it."""
    output = (check.output or "").replace("_", " ")
    alone = check.stage in ("integrity", "reload", "behaviour", "tensors", "update") or not output
    return f"{check.stage} {output}".rstrip() if alone else output


def _more(output: Output, *texts: str) -> tuple[str, ...]:
    return texts if output.verbose else ()


def _coloured(verdict: str) -> TerminalText:
    return styled(_COLOURS.get(verdict, "bold yellow"), "{}", verdict)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value else "0"
