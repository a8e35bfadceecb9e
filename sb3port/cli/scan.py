"""`sb3port scan`: what files would do to whoever loads them, without loading any."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.values import one_of
from sb3port.files.texts.terminal import Style, TerminalText, shown, styled, terminal

if TYPE_CHECKING:
    from sb3port.scanning.findings import ScannedFile

EXAMPLES = (
    "sb3port scan model.zip vec_normalize.pkl",
    "sb3port scan logs/ --strict",
    "sb3port scan sb3/ppo-Pendulum-v1 --format sarif > scan.sarif",
)
_SHOWN = 20
_STYLES: dict[str, Style] = {
    "dangerous": "bold red",
    "unreadable": "bold yellow",
    "own code": "cyan",
    "clean": "green",
}


class Format(StrEnum):
    """How the result is written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"


def scan(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|REPO...",
            help="Files, folders, or repositories on the Hub (org/name).",
            show_default=False,
        ),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 5 for code that is not SB3's, too.")
    ] = False,
    form: Annotated[
        Format,
        one_of(
            Format, "How to write the result: text, json, sarif or markdown.", "--format", metavar="FORMAT"
        ),
    ] = Format.TEXT,
    revision: options.Revision = None,
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Tell what loading a file would import or call, without loading it.

    Every pickle is followed to every name in it: SB3 zips of any algorithm and age, unpacked ones, statistics
    of VecNormalize, replay buffers, torch's files, archives in archives, rl_zoo3's YAML, and the processors
    of LeRobot's policies. The exit code is 5 if a file names what can run commands, load code or reach files,
    else 4 if one cannot be read, else 0. Code that is not SB3's is listed, and an error with --strict.
    Neither torch nor SB3 is needed.
    """
    from sb3port.scanning.findings import counts, exit_code
    from sb3port.scanning.summaries import counted, scan_markdown

    form = Format.JSON if json else form
    output = Output(form is Format.JSON, quiet, verbose)
    files = _scanned(output, paths, revision)
    code = exit_code(files, strict)
    content = {"exit_code": code, "counts": counts(files), "files": [file.to_json() for file in files]}
    if form is Format.SARIF:
        from sb3port.files.texts.json_text import json_text
        from sb3port.scanning.sarif import sarif

        output.text(json_text(sarif(files, strict), indent=2, end="\n"))
    elif form is Format.MARKDOWN:
        output.text(scan_markdown(files))
    elif not output.result("sb3port.scan", content, terminal("{}", counted(files))):
        _print(output, files)
    if code:
        raise typer.Exit(code)


def _scanned(output: Output, paths: Sequence[str], revision: str | None) -> "list[ScannedFile]":
    from sb3port.scanning.scan import scan as run
    from sb3port.scanning.scan import targets

    with output.working(terminal("listing files")) as show:
        found = [target for path in paths for target in targets(path, revision)]
        files = []
        for number, file in enumerate(run(found), start=1):
            show(terminal("scanned {:,} of {:,} files", number, len(found)))
            files.append(file)
    if not files:
        output.warn(terminal("nothing was scanned: there is no file that anybody would unpickle"))
    return files


def _print(output: Output, files: "Sequence[ScannedFile]") -> None:
    from sb3port.scanning.summaries import counted, told, worst_first

    listed = [file for file in worst_first(files) if file.verdict.value != "clean" or output.verbose]
    calm = [file for file in listed if file.verdict.value in ("own code", "clean")]
    left_out = frozenset() if output.verbose else frozenset(file.path for file in calm[_SHOWN:])
    for file in listed:
        if file.path not in left_out:
            output.line(terminal("{}  {} ({})", _verdict(file), file.path, file.kind))
            names = [f"{found.group}: {found.name} in {found.place}" for found in file.findings]
            output.lines(map(shown, names if output.verbose else told(file)), indent=12)
    if left_out:
        output.line(terminal("and {:,} more files with own code (-v lists them)", len(left_out)))
    if listed:
        output.line()
    output.line(styled("bold", "{}", counted(files)))


def _verdict(file: "ScannedFile") -> TerminalText:
    return styled(_STYLES[file.verdict.value], "{}", f"{file.verdict.value:<10}")
