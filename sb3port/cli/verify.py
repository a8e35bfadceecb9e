"""`sb3port verify`: is a port still what its source is?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.environment_options import with_environment
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by, with_policy
from sb3port.cli.values import number
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import UsageError
from sb3port.files.texts.terminal import TerminalText, shown, styled, terminal, together
from sb3port.parity.checks.progress import heard_by

if TYPE_CHECKING:
    from sb3port.commands.policies import ReadOptions
    from sb3port.commands.verify import VerifyOptions
    from sb3port.commands.verify_several import Verified
    from sb3port.environments.given import Around
    from sb3port.parity.comparison.report import ParityReport

EXAMPLES = (
    "sb3port verify ports/ppo-Pendulum-v1",
    "sb3port verify ports/ppo-Pendulum-v1 --source model.zip --exact --json",
    "sb3port verify ports/* --report-dir parity",
    "sb3port verify ports/walker --observations rollout --env Walker2d-v5",
)


@with_policy
@with_environment("sb3port verify", "Gymnasium environment for rollouts, and to compare returns in.")
def verify(
    ports: options.Ports,
    env: str | None,
    around: "Around",
    reading: "ReadOptions",
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
    exact: Annotated[
        bool, typer.Option("--exact", help="Demand the same bits, not only the same numbers.")
    ] = False,
    atol: Annotated[
        float | None,
        typer.Option(
            metavar="X", parser=number(0), help="Allow outputs to differ by X, in place of the noise rule."
        ),
    ] = None,
    no_reload: Annotated[
        bool, typer.Option("--no-reload", help="Do not load the port in a second process.")
    ] = False,
    no_masking: options.NoMasking = False,
    report_dir: options.ReportDir = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Compare a port with its source, to the last bit.

    The source is read anew, SB3's own policy class is built from it, and both compute normalised
    observations, means or logits, values, log-probabilities, entropies, samples and actions on the same
    observations. Exit code 0 says that parity holds, 1 that it does not or that nothing can be said.

    A SOURCE that is not ported yet is compared with a port of it that is gone in the end.

    Several ports are verified in one process, each against the source that it records. A broken one does not
    stop the others; the exit code is the largest of those that each alone would give, and --report-dir gets a
    folder for each and an index.
    """
    from sb3port.commands.verify import VerifyOptions

    output = Output(json, quiet, verbose)
    named = tuple(observations or ())
    chosen = VerifyOptions(named, env, atol, not no_reload, reading, around, not no_masking)
    if source is not None and len(ports) > 1:
        raise UsageError("--source names the source of one port", "verify the others without it")
    warn_of_missing_walls(output, reading.sandbox)
    if len(ports) > 1:
        code = _verify_several(output, ports, chosen, exact, report_dir)
    else:
        code = _verify_one(output, ports[0], source, chosen, exact, report_dir)
    if code:
        raise typer.Exit(code)


def _verify_one(
    output: Output,
    port: str,
    source: str | None,
    chosen: "VerifyOptions",
    exact: bool,
    report_dir: Path | None,
) -> int:
    from sb3port.commands.verify import verify as run
    from sb3port.reports.files import write_reports

    with output.working(terminal("looking at {}", port)) as show, heard_by(lambda what: show(shown(what))):
        report = run(port, source, chosen, chosen_by(output))
    write_reports(report.to_json(), report_dir)
    if not output.result("sb3port.verify", report.to_json(), shown(report.verdict)):
        _print(output, report, exact)
    if report.verdict == "inconclusive" and source is None and not report.count:
        output.hint(terminal("say with --source where the source is now"))
    return 0 if report.holds(exact) else 1


def _verify_several(
    output: Output, ports: Sequence[str], chosen: "VerifyOptions", exact: bool, report_dir: Path | None
) -> int:
    from sb3port.commands.verify_several import names_of, verify_several
    from sb3port.reports.files import unique_names, write_index, write_reports

    paths, done = [Path(port) for port in ports], []
    folders = unique_names(names_of(paths))
    with output.working(terminal("looking at the ports")) as show, heard_by(lambda what: show(shown(what))):
        for folder, found in zip(folders, verify_several(paths, chosen, chosen_by(output)), strict=True):
            done.append(found)
            if report_dir is not None:
                write_reports(found.report_json(), report_dir / folder.text, summarise=False)
            output.stage(terminal("{}/{}", len(done), len(ports)), _in_short(found))
    write_index([found.report_json() for found in done], folders, report_dir)
    code = max(found.exit_code(exact) for found in done)
    content = {"exit_code": code, "ports": [found.to_json(exact) for found in done]}
    if not output.result("sb3port.verify", content, together("\n", map(_in_short, done))):
        _print_several(output, done, exact, report_dir)
    return code


def _in_short(found: "Verified") -> TerminalText:
    what = found.error.message if found.error else found.report_json()["verdict"]
    return terminal("{}: {}", found.name, what)


def _print_several(output: Output, done: "Sequence[Verified]", exact: bool, report_dir: Path | None) -> None:
    """Print an index; with details, each report before it."""
    from sb3port.cli.parity_text import print_index

    for found in done if output.verbose else ():
        output.line(styled("bold underline", "{}", found.name))
        if found.report is not None:
            _print(output, found.report, exact)
        else:
            output.line(_in_short(found))
        output.line()
    near = sum(found.report.holds() and not found.report.holds(exact) for found in done if found.report)
    fields: dict[str, object] = {"exact": f"{near} not bit-exact, as --exact demands"} if near else {}
    place = {"reports": report_dir} if report_dir is not None else {}
    print_index(output, [found.report_json() for found in done], fields | place)


def _print(output: Output, report: "ParityReport", exact: bool) -> None:
    from sb3port.cli.parity_text import print_report

    print_report(output, report.to_json(), _but(report, exact), not report.holds(exact))


def _but(report: "ParityReport", exact: bool) -> str:
    if report.holds() and not report.holds(exact):
        return ", but --exact demands bit-exact"
    atol = report.tolerance.atol
    return f", with --atol {atol:g} in place of the noise rule" if atol is not None else ""
