"""`sb3port convert`: from an SB3 checkpoint to a LeRobot policy folder."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.stages import stages
from sb3port.cli.walls import warn_of_missing_walls
from sb3port.errors import UsageError, VerificationFailed
from sb3port.files.texts.media import joined
from sb3port.files.texts.source_code import ShellCode, shell
from sb3port.files.texts.terminal import shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.convert import Conversion

EXAMPLES = (
    "sb3port convert sb3/ppo-Pendulum-v1",
    "sb3port convert model.zip ports/mine --vecnormalize stats.pkl",
)


def convert(
    source: options.Source,
    dest: Annotated[
        Path | None,
        typer.Argument(
            metavar="DEST", help="Where the port shall lie; ports/<name> by default.", show_default=False
        ),
    ] = None,
    out: options.Dest = None,
    filename: options.Filename = None,
    revision: options.Revision = None,
    vecnormalize: options.Vecnormalize = None,
    no_stats: options.NoStats = False,
    assume_standard_forward: options.AssumeStandardForward = False,
    extractor: options.Extractor = None,
    sandbox: options.Sandbox = None,
    no_verify: options.NoVerify = False,
    force: options.Force = False,
    report_dir: options.ReportDir = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Port an SB3 checkpoint to a LeRobot policy, and verify it.

    Nothing in the checkpoint is executed. The port is written only if it computes what its source computes.
    """
    from sb3port.commands.convert import ConvertOptions
    from sb3port.commands.convert import convert as run
    from sb3port.commands.policies import read_options
    from sb3port.reports.files import write_reports

    if report_dir is not None and no_verify:
        raise UsageError("--no-verify leaves nothing to report for --report-dir", "drop one of the two")
    dest = options.destination(dest, out)
    output = Output(json, quiet, verbose)
    warn_of_missing_walls(output, sandbox)
    reading = read_options(
        filename, revision, vecnormalize, not no_stats, assume_standard_forward, extractor, sandbox
    )
    chosen = ConvertOptions(reading, not no_verify, force)
    try:
        with ExitStack() as spinner:
            done = run(source, dest, chosen, stages(output, spinner, chosen.verify))
    except VerificationFailed as failed:
        write_reports(failed.report, report_dir)
        if json:
            content = {"port": None, "verdict": failed.report["verdict"], "report": failed.report}
            output.result("sb3port.convert", content, terminal(""))
        raise
    if done.report:
        write_reports(done.report.to_json(), report_dir)
    _print(output, done)


def _print(output: Output, done: "Conversion") -> None:
    for warning in done.checkpoint.warnings:
        output.warn(shown(warning))
    content = {
        "port": str(done.port),
        "verdict": str(done.report.verdict) if done.report else None,
        "report": done.report.to_json() if done.report else None,
        "warnings": list(done.checkpoint.warnings),
    }
    if not output.result("sb3port.convert", content, shown(done.port)):
        _print_summary(output, done)


def _print_summary(output: Output, done: "Conversion") -> None:
    from sb3port.cli.summary import policy_rows
    from sb3port.families.strangers_arguments import command_words

    own = done.checkpoint.provenance.extractor
    classes = f"SB3's own classes{f' and {own}' if own else ''}"
    parity = f"{done.report.verdict}, compared with {classes}" if done.report else "not verified"
    output.line()
    rows = {"port": done.port, "parity": parity, **policy_rows(done.checkpoint)}
    output.fields(shown_rows(rows))
    output.line()
    named = shell(" --extractor {}", own) if own else shell("")
    if done.report:
        words = (shell("{}", word) for word in command_words(done.checkpoint.environment))
        command = shell("sb3port eval {} {}{}", done.port, joined(ShellCode, " ", words), named)
        output.hint(terminal("run it with: {}", command))
    else:
        command = shell("sb3port verify {}{}", done.port, named)
        output.hint(terminal("compare it with SB3: {}", command))
