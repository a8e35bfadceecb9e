"""What a comparison means: the words, and the tolerance that decides between them.

*bit-exact*: every bit is the same. *within noise*: no difference is larger than max(1e-6, 8 times the
oracle's own float32-against-float64 gap) on the same observations. *within atol*: no difference is larger
than a number that a user gave in place of that rule. `docs/tolerance.md` justifies the numbers.
"""

from dataclasses import dataclass
from typing import Any

from sb3port.checkpoint.str_enum import StrEnum

FLOOR = 1e-6
NOISE_FACTOR = 8
# An oracle that is this unsure of itself, relative to the scale of its outputs, proves nothing.
MAX_RELATIVE_NOISE = 1e-3


class Verdict(StrEnum):
    """What a check says, best first; a skipped one says nothing."""

    BIT_EXACT = "bit-exact"
    WITHIN_NOISE = "within noise"
    WITHIN_ATOL = "within atol"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    SKIPPED = "skipped"


HOLDING = (Verdict.BIT_EXACT, Verdict.WITHIN_NOISE, Verdict.WITHIN_ATOL)


@dataclass(frozen=True)
class Tolerance:
    """How far apart two numbers may be that are not the same.

    Args:
        floor: What is always allowed.
        noise_factor: How many times the oracle's own noise is allowed.
        atol: Allowed in place of both, None for the rule.
    """

    floor: float = FLOOR
    noise_factor: float = NOISE_FACTOR
    atol: float | None = None

    def allowed(self, noise: float | None) -> float:
        """Largest difference that passes; 0 where the noise is not known.

        Args:
            noise: The oracle's own noise on the same observations.
        """
        if self.atol is not None:
            return self.atol
        return 0.0 if noise is None else max(self.floor, self.noise_factor * noise)

    def judge(self, max_abs: float, noise: float | None, scale: float) -> Verdict:
        """Judge numbers that are not all the same.

        Args:
            max_abs: Their largest difference.
            noise: As in `allowed`.
            scale: Largest absolute value of the reference.
        """
        if not max_abs <= self.allowed(noise):
            return Verdict.FAIL
        if self.atol is not None:
            return Verdict.WITHIN_ATOL
        unsure = noise is None or noise > MAX_RELATIVE_NOISE * max(scale, self.floor)
        return Verdict.INCONCLUSIVE if unsure else Verdict.WITHIN_NOISE

    def to_json(self) -> dict[str, Any]:
        """Give the tolerance as JSON values."""
        return {"floor": self.floor, "noise_factor": self.noise_factor, "atol": self.atol}


DEFAULT = Tolerance()
# For what has no noise: float64 on both sides, rounded once. Nothing but the same numbers will do.
NONE = Tolerance(floor=0.0, noise_factor=0)
