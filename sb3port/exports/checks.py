"""The checks of an export: what was written, loaded again, computes what the checkpoint computes."""

from collections.abc import Collection, Sequence
from typing import Protocol

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.networks.compiler import without_compiler
from sb3port.networks.observations import ObservationSet
from sb3port.parity.checks.candidates import Candidate, compare_with_oracle
from sb3port.parity.checks.checks import COMPUTED, one_thread
from sb3port.parity.comparison.report import Check, ObservationSummary
from sb3port.parity.oracle.oracle import Oracle


class Exported(Candidate, Protocol):
    """Something that was written, loaded again."""

    @property
    def gives(self) -> Collection[str] | None:
        """The outputs that it has by the names of `sb3port.networks.outputs`; None for all of SB3's."""

    def oracle(self, checkpoint: Checkpoint) -> Oracle:
        """Build what it is compared with."""

    def shown(self, observations: ObservationSet) -> ObservationSet:
        """Give observations as it can take them; it and the oracle are given the same."""


def check_export(
    exported: Exported, checkpoint: Checkpoint, observations: Sequence[ObservationSet]
) -> tuple[list[Check], list[ObservationSummary]]:
    """Compare all that an export gives with SB3's own classes, and with what was recorded.

    Args:
        exported: What was written, loaded again.
        checkpoint: What it was written from.
        observations: What to compare on.
    """
    with one_thread(), without_compiler():
        oracle = exported.oracle(checkpoint)
        sets = [exported.shown(one) for one in observations]
        outcomes = [compare_with_oracle(oracle, exported, one, only=exported.gives) for one in sets]
    checks = [check for outcome in outcomes for check in outcome.checks]
    checks.sort(key=lambda check: COMPUTED.index(check.stage))
    return checks, [outcome.summary for outcome in outcomes]
