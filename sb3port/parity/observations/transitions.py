"""Recorded steps from which a policy can learn: what `sb3port record` keeps beside observations."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.errors import NotPortable
from sb3port.networks.observations import Observations
from sb3port.parity.observations.npz import NpzFile
from sb3port.parity.observations.recorded import recorded_observations

_NEEDED = ("reward", "done", "value", "log_prob", "sampled_action")


@dataclass(frozen=True)
class Transitions:
    """N steps of episodes that follow one another in one environment.

    Args:
        observations: Raw, with masks.
        actions: As the distribution gave them, `(N, A)`.
        rewards: float32 `(N,)`.
        ended: Whether an episode ended with the step, `(N,)`.
        values, log_probs: What the policy thought, float32 `(N,)`.
    """

    observations: Observations
    actions: Array
    rewards: NDArray[np.float32]
    ended: NDArray[np.bool_]
    values: NDArray[np.float32]
    log_probs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def starts(self) -> NDArray[np.float32]:
        """1 where an episode starts, `(N,)`."""
        return np.concatenate([[True], self.ended[:-1]]).astype(np.float32)


def recorded_transitions(path: Path, spec: PolicySpec) -> Transitions | None:
    """Read the first steps of a recording, as many as a block has.

    Args:
        path: An `.npz`.
        spec: The policy that they are for.

    Returns:
        The steps, None where the file has observations and outputs, but not what came of them.

    Raises:
        UsageError, NotPortable: As `recorded_observations`.
    """
    found = recorded_observations(path, spec)
    try:
        with NpzFile(path) as archive:
            if not set(_NEEDED) <= set(archive.names):
                return None
            shown = next(iter(found.batches()))
            rewards, ended = (archive.rows(name).read(len(shown)) for name in ("reward", "done"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise NotPortable(f"{path} does not hold a recorded rollout ({error})") from error
    values, log_probs = (shown.recorded[name].astype(np.float32) for name in ("value", "log_prob"))
    actions = shown.recorded["sampled_action"].reshape(len(shown), -1)
    return Transitions(shown, actions, rewards.astype(np.float32), ended.astype(bool), values, log_probs)
