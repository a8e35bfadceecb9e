"""A minibatch of sequences, put in the order in which an LSTM goes through them: no row is padding.

All first steps come first, then all second steps, and so on. The longest sequence is the first one, so that
the rows of a step belong to the first sequences of the step before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sb3port.ppo.engines.fast.arithmetic import Transitions
from sb3port.ppo.engines.fast.layout import Floats
from sb3port.ppo.rollout.buffer import Rollout


@dataclass(frozen=True)
class Steps:
    """The steps of S sequences with N rows.

    Args:
        counts: How many sequences have a first step, a second one, and so on; the first is S.
        before: What precedes each row: a number below S is that sequence's first state, and S + i is row i,
            `(N,)`.
    """

    counts: list[int]
    before: NDArray[np.int64]

    @property
    def padding(self) -> float:
        """How many rows padding would add, for each that there is."""
        return self.counts[0] * len(self.counts) / len(self.before) - 1


@dataclass(frozen=True)
class Remembered(Transitions):
    """Transitions of a recurrent policy.

    Args:
        begins: Where sequences begin whatever the minibatch: at episodes, and at environments, bool `(N,)`.
        memory: State before each, zero where an episode starts, `(N, 4, L, H)` as in `Rollout`.
    """

    begins: NDArray[np.bool_]
    memory: Floats


def pack(chosen: NDArray[np.int64], begins: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Steps]:
    """Put the rows of a minibatch in the order of their steps.

    Args:
        chosen: Rows of a rollout in their order, `(N,)`.
        begins: Where sequences begin, of all rows; the first of the minibatch begins one in any case.

    Returns:
        The rows, `(N,)`, of which the first S begin sequences, and the steps.
    """
    begin = begins[chosen]
    begin[0] = True
    firsts = np.flatnonzero(begin)
    lengths = np.diff(firsts, append=len(chosen))
    longest = np.argsort(-lengths, kind="stable")
    firsts, lengths = firsts[longest], lengths[longest]
    there = np.arange(lengths[0])[:, None] < lengths  # steps by sequences
    step, sequence = np.nonzero(there)
    counts = there.sum(1)
    offsets = np.cumsum(counts) - counts
    place = len(firsts) + offsets[step - 1] + sequence
    return chosen[firsts[sequence] + step], Steps(counts.tolist(), np.where(step > 0, place, sequence))


def beginnings(rollout: Rollout) -> NDArray[np.bool_]:
    """Tell where sequences begin in a rollout's rows by environment, bool `(n * T,)`."""
    begins: NDArray[np.bool_] = rollout.starts.T != 0
    begins[:, 0] = True
    return begins.reshape(-1)
