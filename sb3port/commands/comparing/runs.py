"""What is known of one run, whoever logged it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sb3port.ppo.runs.evaluations import EvalResult

UNKNOWN = "unknown"


_LARGEST = 1e70  # the fourth powers of smaller ones, of which intervals are made, are no overflow


def are_finite(*values: float) -> bool:
    """Whether all are numbers that means are made of: those of strangers need not be."""
    return all(abs(value) < _LARGEST for value in values)


@dataclass(frozen=True)
class Series:
    """Numbers over environment steps.

    Args:
        steps: Ascending.
        values: One for each.
    """

    steps: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, step: float) -> float | None:
        """Give the last value up to a step, None where there is none."""
        found = None
        for known, value in zip(self.steps, self.values, strict=True):
            if known > step:
                break
            found = value
        return found

    @property
    def last(self) -> float:
        """The last step, 0 where there is none."""
        return self.steps[-1] if self.steps else 0.0


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        path: Where it lies.
        env: The environment, or "unknown".
        algorithm: SB3's name of it.
        engine: A name of `engines.table`, or "SB3".
        training: Mean return of the last 100 episodes of the training.
        evaluation: Mean returns of evaluations.
        seed: Of all random numbers.
        settings: What it was told, flat, but for the seed.
        fps: Steps a second.
    """

    path: Path
    env: str
    algorithm: str
    engine: str
    training: Series
    evaluation: Series
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    fps: float | None = None

    @property
    def last(self) -> float:
        """The last step that anything is known of."""
        return max(self.training.last, self.evaluation.last)


def of_evaluations(results: list[EvalResult]) -> Series:
    """Give the mean returns of evaluations that have one."""
    known = [one for one in results if are_finite(one.timesteps, *one.returns)]
    return Series(tuple(float(one.timesteps) for one in known), tuple(one.mean for one in known))
