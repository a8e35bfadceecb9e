"""The parity report: the checks, the verdict over all of them, and its JSON form.

The JSON is the one source of every rendering: equal inputs give equal bytes, so it knows no clock.
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sb3port.checkpoint.checkpoint import Provenance
from sb3port.errors import VerificationFailed
from sb3port.parity.comparison.compare import Comparison
from sb3port.parity.comparison.verdicts import DEFAULT, HOLDING, Tolerance, Verdict
from sb3port.ports.manifest import public_provenance
from sb3port.reports.numbers import strict
from sb3port.reports.words import finding

SCHEMA = "sb3port.parity"
# Why LeRobot did not load the port, where it was to.
# Reports are shown to others, who installed sb3port from elsewhere: no command.
NO_LEROBOT = "LeRobot's plugin is not installed, which the extra sb3port[lerobot] brings"
SCHEMA_VERSION = 1
# What a check compares the port with.
SOURCE, ORACLE, REFERENCE = "source", "oracle", "reference"


@dataclass(frozen=True)
class Cause:
    """A difference between what was read from the source and what was read from the port.

    Args:
        kind: "setting", "tensors" or "file".
        name: Of the setting, of the tensor that is furthest off, or of the file.
        text: The difference in plain words, the name included.
        source: A setting's value in the source, None for other kinds.
        port: Likewise in the port.
    """

    kind: str
    name: str
    text: str
    source: str | None = None
    port: str | None = None


@dataclass(frozen=True)
class Check:
    """One check of a report.

    Args:
        stage: What kind of check it is: "integrity", "tensors", "normaliser", "network", "distribution",
            "action", "recurrent", "reload", "update" or "behaviour".
        comparison: The outcome.
        output: What is compared, such as "value"; None where the stage compares one thing only.
        observations: The name of the observations, None where none are needed.
        against: "source", the file itself; "oracle", SB3's own classes in this process; or "reference",
            outputs that another SB3 recorded.
        informational: Whether it is shown, but never counted.
    """

    stage: str
    comparison: Comparison
    output: str | None = None
    observations: str | None = None
    against: str = ORACLE
    informational: bool = False

    @property
    def id(self) -> str:
        """A name that no other check of the report has: `<stage>[.<output>][:<observations>]`."""
        place = self.observations
        if place is not None and self.against == REFERENCE:
            place = place.replace("recorded", REFERENCE) if "recorded" in place else f"{place}-{REFERENCE}"
        what = f".{self.output}" if self.output else ""
        return f"{self.stage}{what}" + (f":{place}" if place else "")

    @property
    def verdict(self) -> Verdict:
        """What the comparison says."""
        return self.comparison.verdict

    def to_json(self) -> dict[str, Any]:
        """Give the check as JSON values."""
        names = ("stage", "output", "observations", "against", "informational")
        return {"id": self.id, **{name: getattr(self, name) for name in names}, **self.comparison.to_json()}


@dataclass(frozen=True)
class ObservationSummary:
    """Observations on which outputs were compared.

    Args:
        set: Their name within the report.
        label: Where they come from.
        count: How many there are.
        sha256: Of all that the policies were given, so that a report can be tied to it.
        clipped_share: Which share of the normalised numbers is at the bounds, None without a normaliser.
    """

    set: str
    label: str
    count: int
    sha256: str
    clipped_share: float | None = None


@dataclass(frozen=True)
class TensorRow:
    """One tensor of the port, compared with the source's."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    verdict: Verdict
    max_abs: float


@dataclass(frozen=True)
class ParityReport:
    """Everything that was compared, and what follows from it.

    Args:
        provenance: The source that the oracle was built from.
        port: The port's name.
        files: The SHA-256 of the port's files, by name.
        model: What the policy is, in words: "algorithm", "observation_space", "action_space", "policy".
        checks: In the order in which they ran.
        observations: What outputs were compared on.
        tensors: Every tensor.
        tolerance: By which outputs were judged.
        environment: The versions that the result depends on.
        causes: What explains a failure, as far as that could be read; never a guess.
    """

    provenance: Provenance
    port: str
    files: Mapping[str, str]
    model: Mapping[str, str]
    checks: Sequence[Check]
    observations: Sequence[ObservationSummary] = ()
    tensors: Sequence[TensorRow] = ()
    tolerance: Tolerance = DEFAULT
    environment: Mapping[str, Any] = field(default_factory=dict)
    causes: Sequence[Cause] = ()

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(summary.count for summary in self.observations)

    @property
    def label(self) -> str:
        """Where the observations come from."""
        return " and ".join(summary.label for summary in self.observations)

    @property
    def verdict(self) -> Verdict:
        """Judge the port.

        One failed check fails it. What was recorded elsewhere can never be matched to the bit, so it decides
        only whether the port fails; how near the port is, is said by the checks of this process. A report
        without any of those says nothing.
        """
        counted = [check for check in self.checks if not check.informational]
        verdicts = {check.verdict for check in counted}
        here = {check.verdict for check in counted if check.against != REFERENCE}
        asked = {c.verdict for c in counted if c.against == ORACLE} - {Verdict.SKIPPED}
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        if not asked or Verdict.INCONCLUSIVE in verdicts:
            return Verdict.INCONCLUSIVE
        inexact = [verdict for verdict in (Verdict.WITHIN_ATOL, Verdict.WITHIN_NOISE) if verdict in here]
        return inexact[0] if inexact else Verdict.BIT_EXACT

    def holds(self, exact: bool = False) -> bool:
        """Whether parity holds; with `exact`, whether it does to the last bit, LeRobot's load included."""
        if not exact:
            return self.verdict in HOLDING
        lacking = any(check.comparison.reason == NO_LEROBOT for check in self.checks)
        return self.verdict is Verdict.BIT_EXACT and not lacking

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON values; numbers that JSON does not have are "inf", "-inf" and "nan"."""
        plain: dict[str, Any] = strict(self.content())
        return plain

    def content(self) -> dict[str, Any]:
        """Give what is in the report; numbers may be infinite or NaN."""
        return {
            "schema": SCHEMA,
            "version": SCHEMA_VERSION,
            "verdict": str(self.verdict),
            "causes": [vars(cause) for cause in self.causes],
            "source": public_provenance(self.provenance),
            "port": {"name": self.port, "files": dict(self.files)},
            "model": dict(self.model),
            "tolerance": self.tolerance.to_json(),
            "observations": [vars(summary) for summary in self.observations],
            "checks": [check.to_json() for check in self.checks],
            "tensors": [{**vars(row), "shape": list(row.shape)} for row in self.tensors],
            "environment": dict(self.environment),
        }


def refuse_unless_holds(report: ParityReport, written: str, source: str) -> None:
    """Refuse what was written but is not proved to compute what its source computes.

    Args:
        report: The comparison.
        written: How to call what was written.
        source: How to call its source.

    Raises:
        VerificationFailed: With the report.
    """
    if report.holds():
        return
    content = report.to_json()
    why = f" ({found})" if (found := finding(content)) else ""
    reason = f"{written} does not compute what {source} computes{why}"
    if report.verdict is not Verdict.FAIL:
        reason = f"whether {written} computes what {source} computes cannot be told{why}"
    raise VerificationFailed(f"{reason}, so it is not written", content)


def environment() -> dict[str, Any]:
    """Name what a result depends on beside its inputs: versions of what is installed, device, threads.

    The instructions that torch uses are named once it is imported.
    """
    torch = sys.modules.get("torch")
    capability = {"cpu_capability": torch.backends.cpu.get_cpu_capability()} if torch else {}
    return {"python": platform.python_version(), **_versions(), "device": "cpu", "threads": 1, **capability}


@cache
def _versions() -> Mapping[str, str]:
    versions = {}
    for name in ("sb3port", "lerobot", "stable-baselines3", "sb3-contrib", "torch", "numpy"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
