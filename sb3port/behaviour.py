"""Whether SB3's policy and a port get the same returns: for people to see, never counted."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sb3port.environments import make_env
from sb3port.parity.compare import compare
from sb3port.parity.report import Check
from sb3port.parity.verdicts import Verdict
from sb3port.rollouts import run_episode
from sb3port.wrapping import wrapping_of

if TYPE_CHECKING:
    from sb3port.parity.checks import Subject

EPISODES = 10


def check_behaviour(subject: "Subject", env_id: str) -> Iterator[Check]:
    """Run both, deterministically, on the same seeds.

    Raises:
        UsageError: There is no such environment, or its spaces are not those of the port.
    """
    from sb3port.actors.port import PortActor
    from sb3port.actors.sb3 import Sb3Actor

    checkpoint = subject.checkpoint
    actors = Sb3Actor(checkpoint), PortActor(subject.folder, checkpoint.spec)
    env = make_env(env_id, checkpoint.spec, wrapping=wrapping_of(checkpoint.environment))
    try:
        reference, candidate = (
            np.array([sum(step.reward for step in run_episode(env, actor, seed)) for seed in range(EPISODES)])
            for actor in actors
        )
    finally:
        env.close()
    found = compare(reference, candidate)
    exact = found.verdict is Verdict.BIT_EXACT
    in_env = f"{env_id}, {EPISODES} episodes"
    reason = f"{in_env}: {_in_words(reference)} with SB3, {_in_words(candidate)} with the port"
    told = replace(found, verdict=Verdict.BIT_EXACT if exact else Verdict.INCONCLUSIVE, reason=reason)
    yield Check("behaviour", told, "return", informational=True)


def _in_words(returns: "np.typing.NDArray[np.float64]") -> str:
    error = statistics.stdev(returns) / math.sqrt(len(returns))
    return f"{returns.mean():.2f} ± {error:.2f}"
