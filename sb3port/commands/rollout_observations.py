"""Observations that SB3's own policy meets in an environment."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.environments.making import make_env
from sb3port.environments.rollouts import Step, observed, run_episode
from sb3port.environments.wrapping import wrapping_of
from sb3port.networks.observations import ObservationSet, set_of

COUNT = 1024


def rollout_observations(checkpoint: Checkpoint, env_id: str) -> ObservationSet:
    """Run SB3's policy, deterministically, until there are enough observations.

    Args:
        checkpoint: The policy; its environment has the wrappers of the training.
        env_id: A Gymnasium environment id; the seeds of its episodes count up from 0.

    Raises:
        UsageError: There is no such environment, its spaces are not those of the policy, or it gives NaN.
    """
    found = list(islice(_numbered_steps(checkpoint, env_id), COUNT))
    numbers, steps = zip(*found, strict=True)
    observations = observed(checkpoint.spec, steps, np.array(numbers))
    return set_of("rollout", f"rollout of {COUNT} steps in {env_id}", observations)


def _numbered_steps(checkpoint: Checkpoint, env_id: str) -> Iterator[tuple[int, Step]]:
    from sb3port.parity.oracle.actor import Sb3Actor

    actor = Sb3Actor(checkpoint)
    env = make_env(env_id, checkpoint.spec, wrapping=wrapping_of(checkpoint.environment))
    try:
        for seed in count():
            yield from enumerate(run_episode(env, actor, seed, finite=True))
    finally:
        env.close()
