"""What a scan finds: the names in a file by which loading it would import or call something."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.readers.formats.groups import Group, group_of
from sb3port.readers.formats.records import Global


class Verdict(StrEnum):
    """What a scan says of a file, the worst first."""

    DANGEROUS = "dangerous"
    """It names what can run commands, load code, or reach files."""
    UNREADABLE = "unreadable"
    """A part of it cannot be read, so that nobody can tell."""
    OWN_CODE = "own code"
    """It names or carries code that nobody here knows."""
    CLEAN = "clean"


@dataclass(frozen=True, order=True)
class Finding:
    """A name in a file.

    Args:
        member: Where in the file: the member of an archive, members of archives within it behind `!`; empty
            for the file itself.
        field: The setting in it, as a path of keys; empty where there are none.
        name: What would be imported or called.
        group: What that means, a value of `Group`.
    """

    member: str
    field: str
    name: str
    group: str

    @property
    def place(self) -> str:
        """Say where in the file it is."""
        return f"{self.member}[{self.field!r}]" if self.field else self.member


def finding(member: str, field: str, name: Global) -> Finding:
    """Judge a name."""
    return Finding(member, field, str(name), group_of(name).value)


@dataclass(frozen=True)
class ScannedFile:
    """What a scan found in one file.

    Args:
        path: As the user named it, or the folder that it was found in.
        kind: What the file is, in a word or two: "SB3 checkpoint", "pickle".
        size: In bytes.
        findings: Every name, sorted, without repetition.
        unread: Why parts of it could not be read, a sentence each.
        deceptive: Why it must have been made to deceive whoever reads it, where that shows.
    """

    path: str
    kind: str
    size: int
    findings: tuple[Finding, ...] = ()
    unread: tuple[str, ...] = ()
    deceptive: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of what was found."""
        groups = {found.group for found in self.findings}
        if self.deceptive or Group.DANGEROUS in groups:
            return Verdict.DANGEROUS
        if self.unread:
            return Verdict.UNREADABLE
        return Verdict.OWN_CODE if Group.OWN_CODE in groups else Verdict.CLEAN

    def of_group(self, group: Group) -> list[Finding]:
        """Give the findings of a group."""
        return [found for found in self.findings if found.group == group]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "path": self.path,
            "kind": self.kind,
            "size": self.size,
            "verdict": self.verdict.value,
            "globals": [vars(found) for found in self.findings],
            "unread": list(self.unread),
            "deceptive": self.deceptive,
        }


def exit_code(files: Iterable[ScannedFile], strict: bool) -> int:
    """Give 5 if a file is dangerous, else 4 if one cannot be read, else 0.

    Args:
        files: What was scanned.
        strict: Whether own code counts as dangerous.
    """
    files = list(files)
    verdicts = {file.verdict for file in files}
    if Verdict.DANGEROUS in verdicts or (strict and any(file.of_group(Group.OWN_CODE) for file in files)):
        return 5
    return 4 if Verdict.UNREADABLE in verdicts else 0


def counts(files: Iterable[ScannedFile]) -> Mapping[str, int]:
    """Count the files of every verdict."""
    found = Counter(file.verdict.value for file in files)
    return {verdict.value: found[verdict.value] for verdict in Verdict}
