"""The parity report that goes up with a port: read, and held against what it is about."""

from collections.abc import Mapping
from pathlib import Path

from sb3port.errors import UsageError, VerificationFailed
from sb3port.ports.manifest import hash_files
from sb3port.reports.files import FILES, render
from sb3port.reports.json_text import Report
from sb3port.reports.reading import read_report

_FORMS = ("json", "md", "html")


def read_port_report(port: Path, folder: Path | None) -> Report | None:
    """Read the report of a port, in it or in a folder.

    Returns:
        The report, None where there is none in the port.

    Raises:
        UsageError: The folder has none, or it is about another port.
        BrokenReport: It is no report, or a damaged one.
        VerificationFailed: It says that the port does not compute what its source computes.
    """
    path = (folder or port) / FILES["json"]
    if folder is None and not path.is_file():
        return None
    report = read_report(path)
    files: Mapping[str, str] = report["port"]["files"]
    found = hash_files(port, files)
    if others := [name for name in files if found.get(name) != files[name]]:
        hint = f"write one with: sb3port verify {port} --report-dir {port}"
        raise UsageError(f"{path} is about other files than {port} has: {', '.join(others)}", hint)
    if report["verdict"] == "fail":
        raise VerificationFailed(f"{path} says that the port does not compute what its source does", report)
    return report


def report_files(report: Report | None) -> dict[str, bytes]:
    """Give the files that tell what a report says, by name."""
    return {} if report is None else {FILES[form]: render([report], form).text.encode() for form in _FORMS}
