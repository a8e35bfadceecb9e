"""What a recurrent policy remembers while it acts: the states of actor and critic, until its reset.

The value of an observation depends on what came before it, not on itself: it begins from the state before the
step, whether it is asked for before the observation is acted on or after.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sb3port.networks.recurrent import LSTMState, RNNStates, zeroed


class _Step(NamedTuple):
    """The latest step: what was seen, the states around it, and whether its value was asked for before it."""

    seen: list[Tensor]
    copies: list[Tensor]
    before: RNNStates | None
    after: RNNStates
    was_asked: bool


class EpisodeMemory:
    """The memory of the episodes that a policy is in, one for each row.

    Args:
        keys: Those of a batch that hold observations.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self.forget()

    def forget(self) -> None:
        """Forget everything: all rows begin an episode."""
        self._latest: _Step | None = None
        self._asked: list[Tensor] = []

    def before_acting(self, n_rows: int, starts: Tensor | None) -> RNNStates | None:
        """Give the states before the next step, None where all is zero.

        Args:
            n_rows: How many rows will act.
            starts: `(n_rows,)`, 1 or True where an episode starts; None is nowhere.

        Raises:
            ValueError: There are other rows than before, or `starts` is not of them.
        """
        latest = self._latest_of(n_rows)
        if starts is not None and starts.numel() != n_rows:
            raise ValueError(f"episode_starts has {starts.numel()} elements for {n_rows} rows.")
        if latest is None or starts is None:
            return latest.after if latest else None
        return RNNStates(*(zeroed(state, starts) for state in latest.after))

    def acted(self, batch: Mapping[str, Tensor], before: RNNStates | None, after: RNNStates) -> None:
        """Remember a step."""
        seen = self._observations(batch)
        copies = [tensor.clone() for tensor in seen]
        self._latest = _Step(seen, copies, before, after, _are_equal(self._asked, seen))
        self._asked = []

    def before_seeing(self, batch: Mapping[str, Tensor], n_rows: int) -> LSTMState | None:
        """Give the critic's state before an observation: the latest that was acted on, or else the next.

        Where an equal observation comes twice, its tensors tell which it is; where these are others, too, it
        is the next if the value of the latest was asked for before it was acted on.

        Raises:
            ValueError: There are other rows than before.
        """
        seen, latest = self._observations(batch), self._latest_of(n_rows)
        if latest is not None and _are_equal(latest.copies, seen):
            is_same = all(one is other for one, other in zip(latest.seen, seen, strict=True))
            if is_same or not latest.was_asked:
                return latest.before.vf if latest.before else None
        self._asked = [tensor.clone() for tensor in seen]
        return latest.after.vf if latest else None

    def _observations(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        return [batch[key] for key in self._keys]

    def _latest_of(self, n_rows: int) -> _Step | None:
        if self._latest is not None and (remembered := self._latest.after.pi[0].shape[1]) != n_rows:
            raise ValueError(
                f"The batch has {n_rows} rows, but the policy remembers {remembered}: "
                "call reset() before another rollout."
            )
        return self._latest


def _are_equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return len(some) == len(others) and all(map(_is_equal, some, others))


def _is_equal(one: Tensor, other: Tensor) -> bool:
    return (one.dtype, one.device) == (other.dtype, other.device) and torch.equal(one, other)
