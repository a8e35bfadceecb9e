"""The parity report: the checks, the verdict over all of them, and its JSON form."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from sb3port.checkpoint import Provenance
from sb3port.parity.compare import FLOOR, NOISE_FACTOR, Comparison, Verdict
from sb3port.port import public_provenance

SCHEMA = "sb3port.parity"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Check:
    """One check of a report.

    Args:
        id: What is compared with what, such as "oracle.value" or "recorded.action".
        comparison: The outcome.
    """

    id: str
    comparison: Comparison

    @property
    def against(self) -> str:
        """What the port is compared with: "source", "oracle" or "recorded"."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class ParityReport:
    """Everything that was compared, and what follows from it.

    Args:
        provenance: The source that the oracle was built from.
        observations: Where the observations come from.
        count: How many there are.
        observations_sha256: Of their bytes, so that a report can be tied to them.
        checks: In the order in which they ran.
    """

    provenance: Provenance
    observations: str
    count: int
    observations_sha256: str
    checks: Sequence[Check]

    @property
    def verdict(self) -> Verdict:
        """Judge the port.

        One failed check fails it. What was recorded elsewhere can never be matched to the bit, so it decides
        only whether the port fails; bit-exact or within noise is said by the checks of this process. A report
        without any of those says nothing.
        """
        verdicts = [check.comparison.verdict for check in self.checks]
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        here = [check.comparison.verdict for check in self.checks if check.against == "oracle"]
        if not here or Verdict.INCONCLUSIVE in verdicts:
            return Verdict.INCONCLUSIVE
        return Verdict.WITHIN_NOISE if Verdict.WITHIN_NOISE in here else Verdict.BIT_EXACT

    @property
    def worst(self) -> Check | None:
        """The check that went most wrong: the tensors', then a failed one, then the largest difference."""
        failed = [check for check in self.checks if check.comparison.verdict is Verdict.FAIL]
        if failed and failed[0].against == "source":  # which explains all that follows
            return failed[0]
        return max(failed or self.checks, key=lambda check: check.comparison.max_abs, default=None)

    def holds(self, exact: bool = False) -> bool:
        """Whether parity holds; with `exact`, whether it does to the last bit."""
        return self.verdict in ((Verdict.BIT_EXACT,) if exact else (Verdict.BIT_EXACT, Verdict.WITHIN_NOISE))

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {
            "schema": SCHEMA,
            "version": SCHEMA_VERSION,
            "verdict": str(self.verdict),
            "source": public_provenance(self.provenance),
            "observations": {
                "source": self.observations,
                "count": self.count,
                "sha256": self.observations_sha256,
            },
            "tolerance": {"floor": FLOOR, "noise_factor": NOISE_FACTOR},
            "checks": [{"id": check.id, **asdict(check.comparison)} for check in self.checks],
            "environment": environment(),
        }


def environment() -> dict[str, str]:
    """Name the versions that a result depends on."""
    packages = ("sb3port", "lerobot", "stable-baselines3", "torch", "numpy")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "device": "cpu",
    }


def describe(check: Check) -> str:
    """Say in one sentence what a check found."""
    outcome, worst = check.comparison, check.comparison.worst
    if outcome.reason:
        return f"{check.id}: {outcome.reason}"
    if worst is None:
        return f"{check.id}: {outcome.verdict}"
    where = ", ".join(map(str, worst.index))
    return (
        f"{check.id}: largest difference {outcome.max_abs:.3g} at [{where}], "
        f"where {worst.reference:.9g} was expected and the port gives {worst.candidate:.9g}"
    )
