"""Runs, seeds and SB3's own logs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sb3port.commands.comparing.groups import Group, grouped
from sb3port.commands.comparing.intervals import LEVEL, Interval
from sb3port.commands.comparing.reading import read_run
from sb3port.commands.pictures import check_plot
from sb3port.errors import UsageError
from sb3port.files.texts.plot_text import plot_text

KINDS = ("training", "evaluation")


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Args:
        groups: By environments, in the order in which they were named.
        warnings: Sentences on what is not comparable.
    """

    groups: tuple[Group, ...]
    warnings: tuple[str, ...]

    def first_of(self, env: str) -> Group:
        """Give the group of an environment that the others are held against."""
        return next(group for group in self.groups if group.env == env)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "interval": f"{LEVEL:.0%}, Student's t over runs; of differences Welch's",
            "groups": [self._group(group) for group in self.groups],
        }

    def _group(self, group: Group) -> dict[str, Any]:
        first = self.first_of(group.env)
        return {
            "env": group.env,
            "name": group.name,
            "at": group.at,
            "runs": [
                {"path": str(run.path), "seed": run.seed, "last": run.last}
                | {kind: getattr(run, kind).at(group.at) for kind in KINDS}
                for run in group.runs
            ],
            "steps_per_second": self.speed(group),
            **{kind: _interval(group.mean(kind)) for kind in KINDS},
            "above_first": {
                kind: None if group is first else _interval(group.above(first, kind)) for kind in KINDS
            },
        }

    @staticmethod
    def speed(group: Group) -> float | None:
        """Give the mean speed of the runs that tell it."""
        known = [run.fps for run in group.runs if run.fps is not None]
        return sum(known) / len(known) if known else None


def compare(paths: Sequence[Path], at: int | None = None) -> Comparison:
    """Compare runs.

    Args:
        paths: As `read_run` takes them.
        at: At which step to look at them; by default the last one that every run of an environment has.

    Raises:
        UsageError: One is no run, or has nothing up to that step.
        NotPortable: One is damaged.
    """
    runs = [read_run(path) for path in paths]
    for run in runs:
        if not run.last:
            raise UsageError(f"{run.path} has no returns yet", "wait for its first episodes")
    groups = grouped(runs, at)
    for group in groups:
        if not any(group.values(kind) for kind in KINDS):
            raise UsageError(f"no run of {group.env} has a return after {group.at:,.0f} steps")
    return Comparison(tuple(groups), tuple(_doubts(groups)))


def _doubts(groups: Sequence[Group]) -> list[str]:
    said = []
    for env in dict.fromkeys(group.env for group in groups):
        members = [group for group in groups if group.env == env]
        lasts = [run.last for group in members for run in group.runs]
        if max(lasts) > 1.05 * members[0].at:
            said.append(
                f"runs of {env} have {min(lasts):,.0f} to {max(lasts):,.0f} steps; all are looked at after "
                f"{members[0].at:,.0f}"
            )
    for group in groups:
        seeds = [run.seed for run in group.runs if run.seed is not None]
        if len(seeds) > len(set(seeds)):
            said.append(f"{group.env}, {group.name}: runs of the same seed tell no more than one of them")
    return said


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    low, high = (None, None) if found.half is None else (found.mean - found.half, found.mean + found.half)
    return {"mean": found.mean, "low": low, "high": high}


def plot_comparison(found: Comparison, path: Path, force: bool) -> None:
    """Draw the mean of every group over steps, with its interval; of one environment.

    Raises:
        UsageError: There are several environments, or the picture cannot be written.
    """
    from sb3port.ppo.runs.curves import COLOURS, Curve, draw

    check_comparison_plot(found, path)
    kind = "evaluation" if all(group.values("evaluation") for group in found.groups) else "training"
    curves = []
    for number, group in enumerate(found.groups):
        points = list(group.curve(kind))
        steps, means = [step for step, _ in points], [one.mean for _, one in points]
        halves = [one.half or 0.0 for _, one in points]
        low = [mean - half for mean, half in zip(means, halves, strict=True)]
        high = [mean + half for mean, half in zip(means, halves, strict=True)]
        label = plot_text("{}, {} run{}", group.name, len(group.runs), "" if len(group.runs) == 1 else "s")
        curves.append(Curve(label, COLOURS[number % len(COLOURS)], steps, means, low, high))
    what = {"evaluation": "evaluations", "training": "the last 100 episodes of the training"}[kind]
    subtitle = plot_text("mean return of {} · band: {:.0%} confidence over runs", what, LEVEL)
    draw(curves, plot_text("{}", found.groups[0].env), subtitle, path, force=force)


def check_comparison_plot(found: Comparison, path: Path) -> None:
    """Refuse to draw what has no common scale.

    Raises:
        UsageError: There are several environments, or nothing draws.
    """
    check_plot(path)
    envs = list(dict.fromkeys(group.env for group in found.groups))
    if len(envs) > 1:
        raise UsageError(
            f"returns in {envs[0]} and {envs[1]} have no common scale", "draw runs of one environment"
        )
