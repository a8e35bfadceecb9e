"""Reports read from files, and nothing that only looks like one."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from sb3port.errors import BrokenReport, NotPortable, UsageError
from sb3port.files.untrusted import charge_json, read_untrusted
from sb3port.reports.json_text import Report, canonical
from sb3port.reports.shape import first_flaw

SCHEMA_FILE = Path(__file__).with_name("parity.schema.json")
SCHEMA, VERSION = "sb3port.parity", 1
_WRITTEN_BY = "write reports with: sb3port verify PORT --report-dir DIR"
_NOT_JSON = {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}


def read_report(path: Path) -> Report:
    """Read a `parity.json`, or the one in a folder.

    Raises:
        UsageError: It is absent, or there is not one report in it.
        BrokenReport: It is no parity report, one of another version, or a damaged one.
    """
    found = read_reports(path)
    if len(found) != 1:
        raise UsageError(f"{path} holds {len(found)} reports", "name one of them")
    return found[0]


def read_reports(path: Path) -> list[Report]:
    """Read a `parity.json`, or the one in a folder: a report, or a list of them as an index has it.

    Raises:
        UsageError, BrokenReport: As `read_report`.
    """
    path = path / "parity.json" if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"{path} is not a file", _WRITTEN_BY)
    try:
        raw = read_untrusted(path)
        charge_json(raw, str(path))
        content = json.loads(raw, parse_constant=_NOT_JSON.__getitem__)
    except NotPortable as error:
        raise BrokenReport(error.message, error.hint) from error
    except (ValueError, RecursionError) as error:
        raise BrokenReport(f"{path} cannot be read as JSON ({error})") from error
    several = isinstance(content, list) and bool(content)
    for number, one in enumerate(content if several else [content]):
        _check(one, f"report {number} of {path}" if several else str(path))
    return [canonical(one) for one in (content if several else [content])]


def _check(content: Any, where: str) -> None:
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BrokenReport(f"{where} is not a parity report", _WRITTEN_BY)
    version = content.get("version")
    if version != VERSION:
        found = f"{where} is of version {version!r} of {SCHEMA}"
        hint = "update sb3port" if isinstance(version, int) and version > VERSION else None
        raise BrokenReport(f"{found}, of which this sb3port reads version {VERSION}", hint)
    flaw = first_flaw(content, schema())
    if flaw is not None:
        raise BrokenReport(f"{where} is a damaged parity report: {flaw}")


@cache
def schema() -> dict[str, Any]:
    """Give the JSON schema of parity reports (draft 2020-12)."""
    content: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return content
