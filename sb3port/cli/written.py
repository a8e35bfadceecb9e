"""What `export` and `repair` have in common: running the job, and saying what was written."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sb3port.cli.output import Output
from sb3port.cli.stages import stages
from sb3port.errors import UsageError, VerificationFailed
from sb3port.files.texts.source_code import python
from sb3port.files.texts.terminal import TerminalText, shown, shown_rows, terminal

if TYPE_CHECKING:
    from sb3port.commands.convert import Announce
    from sb3port.commands.export import Export, ExportOptions


def run_export(
    output: Output,
    schema: str,
    options: "ExportOptions",
    report_dir: Path | None,
    job: Callable[["Announce"], "Export"],
) -> None:
    """Run an export and print what it wrote.

    Args:
        output: Where to print.
        schema: Name of the JSON object, such as "sb3port.export".
        options: With which the job runs.
        report_dir: Where the parity report is written, too; None for nowhere.
        job: Given what announces its stages.

    Raises:
        Sb3portError: The job's own.
    """
    from sb3port.reports.files import write_reports

    if report_dir is not None and not options.verify:
        raise UsageError("--no-verify leaves nothing to report for --report-dir", "drop one of the two")
    try:
        with ExitStack() as spinner:
            done = job(stages(output, spinner, options.verify))
    except VerificationFailed as failed:
        if failed.report:
            write_reports(failed.report, report_dir)
        if output.as_json:
            content = {"export": None, "verdict": failed.report.get("verdict"), "report": failed.report}
            output.result(schema, content, terminal(""))
        raise
    if done.report:
        write_reports(done.report.to_json(), report_dir)
    for warning in done.checkpoint.warnings:
        output.warn(shown(warning))
    content = {
        "export": str(done.folder),
        "files": list(done.files),
        "verdict": str(done.report.verdict) if done.report else None,
        "report": done.report.to_json() if done.report else None,
        "warnings": list(done.checkpoint.warnings),
    }
    if not output.result(schema, content, shown(done.folder)):
        _print_summary(output, done, options.target)


def _print_summary(output: Output, done: "Export", target: str) -> None:
    from sb3port.cli.summary import policy_rows

    parity = f"{done.report.verdict}, compared with SB3's own classes" if done.report else "not verified"
    rows = {"export": done.folder, "files": ", ".join(done.files), "parity": parity}
    output.line()
    output.fields(shown_rows({**rows, **policy_rows(done.checkpoint)}))
    if target in ("sb3", "numpy"):
        output.line()
        output.hint(terminal("load it with: {}", _load_call(done, target)))


def _load_call(done: "Export", target: str) -> TerminalText:
    from sb3port.families.algorithms import display_name

    (path,) = (done.folder / name for name in done.files if name.endswith((".zip", ".py")))
    if target == "numpy":
        return terminal("{}", python('runpy.run_path({})["load"]()', str(path)))
    return terminal("{}.load({})", display_name(done.checkpoint.spec.algorithm), python("{}", str(path)))
