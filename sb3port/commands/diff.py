"""What `sb3port diff` compares: two checkpoints, and whether one is the other in the terms of today's SB3."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import NotPortable, UsageError
from sb3port.exports.sb3_form import sb3_form
from sb3port.families.algorithms import algorithm_of
from sb3port.ports.difference import Difference, difference


@dataclass(frozen=True)
class Comparison:
    """How two checkpoints compare.

    Args:
        found: Everything that differs.
        completing: "A" or "B" where that one is the other as `repair` writes it, so that all that differs is
            what the other leaves to SB3's defaults, has lost, or has in a form that SB3 has no more.
    """

    found: Difference
    completing: str = ""

    @property
    def equal(self) -> bool:
        """Whether they are the same but for what one completes."""
        return self.found.equal or bool(self.completing)


def compare(a: Checkpoint, b: Checkpoint) -> Comparison:
    """Compare two checkpoints, whatever they were read from."""
    found = difference(a, b)
    if found.equal:
        return Comparison(found)
    completing = (side for side, one, other in (("B", a, b), ("A", b, a)) if _completes(other, one))
    return Comparison(found, next(completing, ""))


def _completes(other: Checkpoint, one: Checkpoint) -> bool:
    return any(difference(form, other).equal for form in _completed(one))


def _completed(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """Give a checkpoint as SB3 has it when it is written anew; nothing where SB3 cannot have it."""
    try:
        form = sb3_form(checkpoint)
    except (NotPortable, UsageError):
        return
    defaults = algorithm_of(form.spec.algorithm).default_settings
    settings = {**defaults, **form.training.hyperparameters}
    yield replace(form, training=replace(form.training, hyperparameters=settings))
