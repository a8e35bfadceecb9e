"""Runs of one kind together, so that their seeds tell how far a mean can be believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sb3port.commands.comparing.intervals import Interval, difference_of, mean_of
from sb3port.commands.comparing.runs import Run, Series


@dataclass(frozen=True)
class Group:
    """Runs of the same environment, algorithm, engine and settings.

    Args:
        env: The environment.
        name: What sets it apart: the algorithm, the engine, and settings that differ between groups.
        runs: At least one.
        at: Environment steps at which all are looked at.
    """

    env: str
    name: str
    runs: tuple[Run, ...]
    at: float

    def values(self, kind: str) -> list[float]:
        """Give the return of each run at that step, of those that have one.

        Args:
            kind: "training" or "evaluation".
        """
        found = (getattr(run, kind).at(self.at) for run in self.runs)
        return [value for value in found if value is not None]

    def mean(self, kind: str) -> Interval | None:
        """Give the mean of the runs, None where none has such a return."""
        values = self.values(kind)
        return mean_of(values) if values else None

    def above(self, other: "Group", kind: str) -> Interval | None:
        """Give by how much this group is above another one."""
        ours, theirs = self.values(kind), other.values(kind)
        return difference_of(ours, theirs) if ours and theirs else None

    def curve(self, kind: str, points: int = 200) -> Iterator[tuple[float, Interval]]:
        """Give the mean over steps, up to where all are looked at."""
        series: list[Series] = [getattr(run, kind) for run in self.runs]
        steps = sorted({step for one in series for step in one.steps if step <= self.at})
        for step in steps[:: max(1, len(steps) // points)]:
            known = [value for one in series if (value := one.at(step)) is not None]
            if len(known) == len([one for one in series if one.steps]):
                yield step, mean_of(known)


def grouped(runs: Sequence[Run], at: float | None) -> list[Group]:
    """Put runs together.

    Args:
        runs: All of them.
        at: At which step to look at them; None for the last one that every run of an environment has.
    """
    kinds: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        kinds.setdefault((run.env, run.algorithm, run.engine, _settings(run)), []).append(run)
    groups = []
    for (env, algorithm, engine, _), members in kinds.items():
        rivals = [kind for kind in kinds if kind[:3] == (env, algorithm, engine)]
        firsts = [kinds[kind][0] for kind in rivals]
        name = ", ".join((f"{algorithm}, {engine}", *_differing(members[0], firsts)))
        last = min(run.last for run in runs if run.env == env)
        groups.append(Group(env, name, tuple(members), last if at is None else at))
    return sorted(groups, key=lambda group: group.env)


def _settings(run: Run) -> str:
    return repr(sorted(run.settings.items()))


def _differing(run: Run, rivals: Sequence[Run]) -> Iterator[str]:
    """Give the settings by which a run differs from others that are of the same kind otherwise."""
    for name, value in run.settings.items():
        if any(_differ(rival.settings.get(name), value) for rival in rivals):
            yield f"{name} {value}"


def _differ(one: Any, other: Any) -> bool:
    return bool(one != other)
