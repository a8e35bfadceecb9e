"""Which statistics are a checkpoint's: one rule from all evidence, on values alone.

Where a training used VecNormalize, the pickle is taken that fits and for which most speaks; where nothing
shows that it did, only one that agrees in steps and name, because few trainings do not show it. Names weigh
more than steps, as snapshots often have the final statistics; steps weigh more than distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath

from sb3port.readers.places.nearby import Near
from sb3port.readers.places.words import Relation


class Steps(IntEnum):
    """Whether statistics have seen as many observations as the model has steps."""

    AGREE = 0
    DIFFER = 1
    UNKNOWN = 2


@dataclass(frozen=True)
class Use:
    """What shows whether VecNormalize was used in training.

    Args:
        by: What shows that it was ("the zip"), empty where nothing does.
        needed: Whether it shows that the policy saw what VecNormalize makes of observations.
        silent: Whether the zip could show nothing, because its model took no step.
    """

    by: str = ""
    needed: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Evidence:
    """What is known of one pickle.

    Args:
        near: Its name and place.
        steps: What its count of observations says.
        apart: By how many it differs from the model's steps, as far as that is known.
        misfit: Why it cannot be of this policy, empty where it fits.
        digest: SHA-256; copies of one file count as one.
    """

    near: Near
    steps: Steps = Steps.UNKNOWN
    apart: int = 0
    misfit: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Take:
    """One pickle is the checkpoint's, and why."""

    evidence: Evidence
    why: str


@dataclass(frozen=True)
class LeaveOut:
    """The policy had none, and why none of these; empty where there is nothing to say."""

    why: str = ""


@dataclass(frozen=True)
class Ask:
    """Several could be meant, the likeliest first."""

    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Missing:
    """There must be some, and none of those that are there can be them; the nearest, if any, says why."""

    nearest: Evidence | None


Decision = Take | LeaveOut | Ask | Missing


def decide(use: Use, evidence: Sequence[Evidence]) -> Decision:
    """Decide which statistics are a checkpoint's, given all that may be them."""
    fitting = [e for e in evidence if not e.misfit and e.near.relation is not Relation.FOREIGN]
    if not use.by:
        fitting = [e for e in fitting if _speaks_for_itself(e, use)]
    best = _best(fitting)
    if len(best) > 1:
        return Ask(best)
    if best:
        return Take(best[0], f"{_called(best[0])}: {_why(best[0], use, fitting)}")
    nearest = min(evidence, key=_rank, default=None)
    if use.needed:
        return Missing(nearest)
    return LeaveOut(_why_not(nearest, len(evidence)) if nearest else "")


def _speaks_for_itself(evidence: Evidence, use: Use) -> bool:
    agrees = evidence.steps is Steps.AGREE or use.silent
    return agrees and evidence.near.relation <= Relation.NEUTRAL


def _called(evidence: Evidence) -> str:
    return f"{PurePosixPath(evidence.near.name).name}, {evidence.near.place}"


def _rank(evidence: Evidence) -> tuple[int, int, int]:
    """Order pickles, the best first."""
    relation, differs = evidence.near.relation, evidence.steps is not Steps.AGREE
    match relation:
        case Relation.NAMED:
            tier = 0 + differs
        case Relation.STRANGE | Relation.FOREIGN:
            tier = 2 * relation + differs
        case _:
            tier = 2 if not differs else 4 if relation is Relation.SIBLING else 3
    return tier, evidence.near.distance, relation


def _best(fitting: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Give those for which most speaks, without copies; of one training's snapshots the nearest in steps."""
    least = min(map(_rank, fitting), default=None)
    equal = {e.digest or e.near.name: e for e in reversed(fitting) if _rank(e) == least}
    ordered = sorted(equal.values(), key=lambda e: (e.apart, e.near.name))
    of_one = len({e.near.which for e in ordered}) == 1 and _is_sibling(ordered[0])
    if of_one and len(ordered) > 1 and ordered[0].apart < ordered[1].apart:
        return tuple(ordered[:1])
    return tuple(ordered)


def _is_sibling(evidence: Evidence) -> bool:
    return evidence.near.relation is Relation.SIBLING


def _why(taken: Evidence, use: Use, fitting: Sequence[Evidence]) -> str:
    """Say what speaks for a pickle."""
    name = {
        Relation.NAMED: f"its {'folder' if taken.near.own else 'name'} is the checkpoint's",
        Relation.RELATED: "its name fits",
        Relation.NEUTRAL: "",
        Relation.SIBLING: "it is of another time in the training",
        Relation.STRANGE: "nothing else fits" if len(fitting) == 1 else "nothing fits better",
    }[taken.near.relation]
    steps = "it has seen as many observations as the model has steps" if taken.steps is Steps.AGREE else ""
    shows = f"{use.by} shows VecNormalize" if use.by else ""
    said = _joined([reason for reason in (shows, "its shape fits", name, steps) if reason])
    return said if use.by else f"the zip shows no VecNormalize, but {said}"


def _joined(reasons: Sequence[str]) -> str:
    *first, last = reasons
    if not first:
        return last
    return f"{', '.join(first)}{',' if len(first) > 1 else ''} and {last}"


def _why_not(nearest: Evidence, count: int) -> str:
    """Say why a pickle is left out, where nothing shows that there must be one."""
    near = nearest.near
    if nearest.misfit:
        reason = ""
    elif near.relation > Relation.NEUTRAL:
        reason = "has the name of another model or time"
    elif nearest.steps is Steps.DIFFER:
        reason = f"has seen {nearest.apart:,.0f} observations more or fewer than the model has steps"
    else:
        reason = "does not tell how many observations it has seen"
    why = f"{_called(nearest)}, {reason}" if reason else nearest.misfit
    others = f" ({count - 1} more {'is' if count == 2 else 'are'} left out, too)" if count > 1 else ""
    return f"no statistics are used: the zip shows no VecNormalize, and {why}{others}"
