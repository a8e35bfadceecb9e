"""Whether SB3's policy and a port get the same returns: for people to see, never counted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sb3port.commands.evaluate import Evaluation, evaluate_port, evaluate_sb3
from sb3port.environments.rollouts import Setting
from sb3port.environments.wrapping import wrapping_of
from sb3port.parity.comparison.compare import compare
from sb3port.parity.comparison.report import Check
from sb3port.parity.comparison.verdicts import Verdict

if TYPE_CHECKING:
    from sb3port.parity.checks.checks import Subject

EPISODES = 10


def check_behaviour(subject: "Subject", env_id: str, use_masking: bool = True) -> Iterator[Check]:
    """Run both, deterministically, on the same seeds.

    Args:
        subject: The port and its source.
        env_id: A Gymnasium environment id.
        use_masking: Whether a maskable policy is told which actions are allowed.

    Raises:
        UsageError: There is no such environment, or its spaces are not those of the port.
    """
    wrapping = wrapping_of(subject.checkpoint.environment)
    setting = Setting(env_id, range(EPISODES), wrapping, use_masking)
    reference = evaluate_sb3(subject.checkpoint, setting)
    candidate = evaluate_port(subject.folder, setting)
    found = compare(np.array(reference.returns), np.array(candidate.returns))
    exact = found.verdict is Verdict.BIT_EXACT
    in_env = f"{env_id}, {EPISODES} episodes"
    reason = f"{in_env}: {_in_words(reference)} with SB3, {_in_words(candidate)} with the port"
    reason = "; ".join((reason, *candidate.warnings))
    told = replace(found, verdict=Verdict.BIT_EXACT if exact else Verdict.INCONCLUSIVE, reason=reason)
    yield Check("behaviour", told, "return", informational=True)


def _in_words(found: Evaluation) -> str:
    return f"{found.mean:.2f} ± {found.standard_error:.2f}"
