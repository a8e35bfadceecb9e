"""Several ports verified in one process: imports are paid once, and a broken one does not stop the others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sb3port.commands.failures import known_error
from sb3port.commands.verify import VerifyOptions, verify
from sb3port.errors import Sb3portError, need
from sb3port.files.budget import budget, factor
from sb3port.parity.checks.progress import within
from sb3port.parity.comparison.report import ParityReport
from sb3port.reports.unread import unread


@dataclass(frozen=True)
class Verified:
    """What came of one port.

    Args:
        port: As the user named it.
        name: Which tells it from the others.
        report: What was compared, None where the port or its source could not be read.
        error: Why it could not, None where it could.
    """

    port: Path
    name: str
    report: ParityReport | None = None
    error: Sb3portError | None = None

    def exit_code(self, exact: bool = False) -> int:
        """With which `verify` of this port alone would end."""
        if self.error is not None:
            return self.error.exit_code
        return 0 if self.report is not None and self.report.holds(exact) else 1

    def report_json(self) -> dict[str, Any]:
        """Give the report as JSON values: an inconclusive one with the error, where there is an error."""
        if self.report is not None:
            return self.report.to_json()
        return unread(self.name, self.error.message if self.error else "")

    def to_json(self, exact: bool = False) -> dict[str, Any]:
        """Give everything as JSON values."""
        error = {"message": self.error.message, "hint": self.error.hint} if self.error else None
        return {
            "port": str(self.port),
            "name": self.name,
            "exit_code": self.exit_code(exact),
            "verdict": str(self.report.verdict) if self.report else None,
            "error": error,
            "report": self.report.to_json() if self.report else None,
        }


def verify_several(
    ports: Sequence[Path], options: VerifyOptions, announce: Callable[[str], None] = lambda _: None
) -> Iterator[Verified]:
    """Verify ports one after the other, each against the source that it records.

    Args:
        ports: As `verify` takes them.
        options: How to do it.
        announce: Called with a sentence on the checkpoint that is taken of a run.

    Raises:
        UsageError: What verifying needs is not installed; no port is looked at.
    """
    need("sb3", "verifying")
    names = names_of(ports)
    for number, (port, name) in enumerate(zip(ports, names, strict=True), 1):
        with budget(factor()), within(f"{number}/{len(ports)} {name}"):
            found = _verified(port, name, options, announce)
        yield found


def _verified(port: Path, name: str, options: VerifyOptions, announce: Callable[[str], None]) -> Verified:
    try:
        return Verified(port, name, replace(verify(port, None, options, announce), port=name))
    except Exception as error:
        if (known := known_error(error)) is None:
            raise
        return Verified(port, name, error=known)


def names_of(ports: Sequence[Path]) -> list[str]:
    """Name ports by the last parts of their paths, as few as tell them apart, such as "seed1/best"."""
    paths = [(port if port.name not in ("", "..") else port.resolve()).parts for port in ports]
    return ["/".join(path[-_length(path, set(paths) - {path}) :]) for path in paths]


def _length(path: tuple[str, ...], others: set[tuple[str, ...]]) -> int:
    lengths = range(1, len(path) + 1)
    return next((n for n in lengths if all(other[-n:] != path[-n:] for other in others)), len(path))
