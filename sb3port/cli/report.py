"""`sb3port report`: parity reports rendered again, from their JSON alone."""

from pathlib import Path
from typing import Annotated

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.cli.policy_options import chosen_by
from sb3port.cli.values import one_of
from sb3port.errors import UsageError
from sb3port.files.texts.terminal import shown

EXAMPLES = (
    "sb3port report ports/ppo-Pendulum-v1",
    "sb3port report a/parity.json b/parity.json --out reports",
    "sb3port report parity.json --to junit > junit.xml",
)


class Form(StrEnum):
    """The forms of a report."""

    JSON = "json"
    MARKDOWN = "md"
    JUNIT = "junit"
    HTML = "html"


def report(
    reports: Annotated[
        list[Path],
        typer.Argument(
            metavar="REPORT",
            help="parity.json files, also those of an index, or folders that hold one.",
            show_default=False,
        ),
    ],
    to: Annotated[
        list[Form] | None,
        one_of(
            Form, "json, md, junit or html; md by default, into a folder all of them.", "--to", metavar="FORM"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A folder, or - for stdout.")] = Path("-"),
    limits: options.Limits = None,  # noqa: ARG001 (its callback acts)
) -> None:
    """Render parity reports as JSON, Markdown, JUnit XML or HTML.

    Several reports become one index page, with a page each, and one JUnit file. Nothing is compared anew, and
    torch is not needed.
    """
    from sb3port.reports.files import render, render_folder, write_files
    from sb3port.reports.reading import read_reports

    output = Output()
    found = [one for path in reports for one in read_reports(_folder(output, path))]
    if out != Path("-"):
        files = render_folder(found, to or list(Form))
        write_files(out, files)
        output.lines(shown(out / name.text) for name in files)
        return
    forms = to or [Form.MARKDOWN]
    if len(forms) > 1:
        raise UsageError("stdout takes one form at a time", "write several into a folder with --out DIR")
    output.text(render(found, forms[0]))


def _folder(output: Output, path: Path) -> Path:
    """Give the folder of a report: of a run, that of its best checkpoint."""
    from sb3port.ports.finding import port_here

    here = None if (path / "parity.json").is_file() else port_here(path)
    if here is None:
        return path
    if here.choice:
        chosen_by(output)(here.choice)
    return here.folder
