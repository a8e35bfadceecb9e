"""What a scan found as SARIF 2.1.0, which code scanning of GitHub and other platforms shows.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from sb3port.checkpoint.version import __version__
from sb3port.errors import shortened
from sb3port.files.texts.characters import one_line
from sb3port.readers.formats.groups import Group
from sb3port.scanning.findings import ScannedFile

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_RULES = (
    (
        "dangerous-global",
        "error",
        "Loading the file would run what can run commands, load code, or reach files.",
    ),
    ("deceptive-archive", "error", "The archive is made so that tools read it differently."),
    ("unreadable", "warning", "A part of the file cannot be read, so that nobody can tell what it would do."),
    ("own-code", "note", "Loading the file would import or run code that is not SB3's."),
)


def sarif(files: Iterable[ScannedFile], strict: bool) -> dict[str, Any]:
    """Give what was found as a SARIF log of one run.

    Args:
        files: What was scanned.
        strict: Whether own code is an error, too.
    """
    levels = {name: "error" if strict and name == "own-code" else level for name, level, _ in _RULES}
    rules = [
        {
            "id": name,
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": levels[name]},
        }
        for name, _, text in _RULES
    ]
    driver = {"name": "sb3port", "version": __version__, "rules": rules}
    results = [_result(file, levels, *told) for file in files for told in _told(file)]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _told(file: ScannedFile) -> Iterator[tuple[str, str, str]]:
    """Give the rule, the sentence and the place of everything that is to be told of a file."""
    rules = ((Group.DANGEROUS, "dangerous-global"), (Group.OWN_CODE, "own-code"))
    for group, rule in rules:
        for found in file.of_group(group):
            yield rule, f"{found.place or file.kind}: {found.name}", found.place
    yield from (("unreadable", reason, "") for reason in file.unread)
    if file.deceptive:
        yield "deceptive-archive", file.deceptive, ""


def _result(file: ScannedFile, levels: dict[str, str], rule: str, text: str, place: str) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(file.path)}}}
    if place:
        location["logicalLocations"] = [{"fullyQualifiedName": shortened(one_line(place)), "kind": "member"}]
    return {
        "ruleId": rule,
        "ruleIndex": [name for name, _, _ in _RULES].index(rule),
        "level": levels[rule],
        "message": {"text": shortened(one_line(text))},
        "locations": [location],
    }


def _uri(path: str) -> str:
    """Give a path as the reference that SARIF wants: relative ones stay relative."""
    posix = PurePath(path).as_posix()
    prefix = "file://" if posix.startswith("/") else ""
    return prefix + quote(posix, errors="surrogateescape")
