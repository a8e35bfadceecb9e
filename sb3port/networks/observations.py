"""Observations on which a port is compared with its source: batches of them, and sets of batches."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Space, parts

# A block holds at most so many rows, and so many numbers: memory stays flat however many rows there are.
BLOCK_ROWS, BLOCK_NUMBERS = 1024, 2**22
# How many numbers of an observation a report shows.
SHOWN = 64


@dataclass(frozen=True)
class Observations:
    """A batch of observations in the space's own shape and type, and what was recorded for them.

    Args:
        parts: Of shape `(n, *space.shape)` by the keys of a Dict space, under "" for any other space.
        recorded: Outputs that the SB3 of the checkpoint's own time gave, by name; empty where there are none.
        masks: Of a maskable policy: the allowed choices, bool `(n, choices)`.
        starts: Of a recurrent policy: where an episode starts, bool `(n,)`. The rows are sequences of equal
            length, one after the other.
        states: Of a recurrent policy: the states before the first rows, float32 `(4, layers, sequences,
            hidden)`: the actor's hidden and cell state, then the critic's.
    """

    parts: Mapping[str, Array]
    recorded: Mapping[str, Array] = field(default_factory=dict)
    masks: Array | None = None
    starts: Array | None = None
    states: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    @property
    def values(self) -> Any:
        """The observations as SB3 takes them: an array, or a dictionary of arrays."""
        return self.parts[""] if "" in self.parts else dict(self.parts)

    @property
    def inputs(self) -> dict[str, Array]:
        """All that the policies are given, by name."""
        extras = {"action_mask": self.masks, "episode_starts": self.starts, "initial_states": self.states}
        named = {f"observation.{key}" if key else "observation": part for key, part in self.parts.items()}
        return named | {name: array for name, array in extras.items() if array is not None}

    @classmethod
    def from_inputs(cls, inputs: Mapping[str, Array]) -> "Observations":
        """Make a batch of what `inputs` gave."""
        extras = [inputs.get(name) for name in ("action_mask", "episode_starts", "initial_states")]
        shown = {
            name.removeprefix("observation").removeprefix("."): array
            for name, array in inputs.items()
            if name.partition(".")[0] == "observation"
        }
        return cls(shown, {}, *extras)

    @property
    def steps(self) -> int:
        """How many rows each sequence has; 1 without memory."""
        return len(self) // self.states.shape[2] if self.states is not None else 1

    def shown(self, row: int) -> dict[str, list[float]]:
        """Give the first numbers of one observation, by key."""
        return {key: part[row].reshape(-1)[:SHOWN].tolist() for key, part in self.parts.items()}


@dataclass(frozen=True)
class ObservationSet:
    """Observations under one name, which may be too many for memory.

    Args:
        name: A word, such as "recorded" or "edge".
        label: Where they come from, for the report.
        count: How many there are.
        batches: Gives them from the beginning. The batches of a set may differ in size, but the oracle and
            the port are always given the same batch: the last bits depend on its shape.
    """

    name: str
    label: str
    count: int
    batches: Callable[[], Iterator[Observations]]


def set_of(name: str, label: str, *batches: Observations) -> ObservationSet:
    """Make a set of batches that are in memory."""
    return ObservationSet(name, label, sum(map(len, batches)), lambda: iter(batches))


def block_rows(space: Space, limit: int = BLOCK_ROWS) -> int:
    """How many observations make a block."""
    numbers = sum(part.size for part in parts(space).values())
    return max(1, min(limit, BLOCK_NUMBERS // max(numbers, 1)))


class Digest:
    """The SHA-256 of what policies are given, whatever the size of the batches that it comes in."""

    def __init__(self) -> None:
        self._digests: dict[str, Any] = {}

    def add(self, observations: Observations) -> None:
        """Add a batch."""
        for name, array in observations.inputs.items():
            ordered = np.moveaxis(array, 2, 0) if name == "initial_states" else array
            digest = self._digests.setdefault(name, hashlib.sha256(f"{name} {array.dtype}".encode()))
            digest.update(np.ascontiguousarray(ordered).tobytes())

    def hexdigest(self) -> str:
        """Give the digest of all batches so far."""
        whole = hashlib.sha256()
        for name in sorted(self._digests):
            whole.update(self._digests[name].digest())
        return whole.hexdigest()
