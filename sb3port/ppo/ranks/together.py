"""Processes that talk by torch.distributed: gloo between processors, NCCL between GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous
from typing_extensions import Self

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import RankLost
from sb3port.ppo.ranks.base import Ranks


class Together(Ranks):
    """The processes that `torchrun`, or who else sets its variables, has started.

    Sums are the same bits in every process: each part of them is added up in one place, and handed round.

    Args:
        store: Where the processes meet; that of `torchrun` outlives all of them.
        rank: Which one this is.
        size: How many there are.

    Raises:
        RankLost: They do not all come.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.rank, self.size, self._store = rank, size, store
        self._room = torch.empty(0)
        with _naming_who_is_lost():
            distributed.init_process_group(_backend(), store=store, rank=rank, world_size=size)

    @classmethod
    def by_environment(cls, rank: int, size: int) -> Self:
        """Meet where `MASTER_ADDR` and `MASTER_PORT` say.

        Raises:
            RankLost: They do not all come.
        """
        with _naming_who_is_lost():
            return cls(*next(iter(rendezvous("env://", rank, size))))

    def mean(self, flat: "Tensor | Array", *beside: float) -> tuple[float, ...]:
        """Replace numbers by their means over all processes, and give those of `beside`."""
        given = torch.as_tensor(flat)  # of an array it is a view
        room = self._room_for(given, len(beside))
        count = len(given)
        room[:count].copy_(given)
        room[count:] = torch.tensor(beside, dtype=room.dtype)
        with _naming_who_is_lost():
            distributed.all_reduce(room)
        room /= self.size
        given.copy_(room[:count])
        return tuple(room[count:].tolist())

    def rows(self, rows: Array) -> Array:
        """Put the rows of all processes one after the other."""
        own = np.array(rows, order="C")
        found = np.empty((self.size, *own.shape), own.dtype)
        parts = list(_as_bytes(found).view(self.size, -1).unbind())
        with _naming_who_is_lost():
            distributed.all_gather(parts, _as_bytes(own))
        return found.reshape(-1, *own.shape[1:])

    def gather(self, content: bytes) -> list[bytes]:
        """Give what every process gives, in their order: first how long each is, then all of it."""
        lengths = self.rows(np.array([len(content)])).tolist()
        longest = max(lengths)
        if not longest:
            return [b""] * self.size
        padded = np.frombuffer(content.ljust(longest, b"\0"), np.uint8)
        rows = self.rows(padded[None].copy())
        return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]

    def is_first_to_say(self) -> bool:
        """Whether no other process has said yet why the training ends; also where nobody can be asked."""
        try:
            return int(self._store.add("sb3port/said", 1)) == 1
        except RuntimeError:
            return True

    def leave(self) -> None:
        """Part from the others, when all is done."""
        distributed.destroy_process_group()

    def _room_for(self, given: Tensor, more: int) -> Tensor:
        room = self._room
        if len(room) != len(given) + more or room.dtype != given.dtype or room.device != given.device:
            self._room = room = torch.empty(len(given) + more, dtype=given.dtype, device=given.device)
        return room


def _as_bytes(array: Array) -> Tensor:
    return torch.from_numpy(array.reshape(-1).view(np.uint8))


def _backend() -> str:
    """Name gloo, and NCCL for what is on a GPU, where there is one."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and distributed.is_nccl_available() else "gloo"


@contextmanager
def _naming_who_is_lost() -> Iterator[None]:
    """Turn what torch says of a broken connection into a sentence."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, _OURS):
            raise
        raise RankLost("another process of this training has ended, or cannot be reached any more") from error


# Of torch's errors these are no broken connections.
_OURS: tuple[Any, ...] = (torch.cuda.OutOfMemoryError, NotImplementedError)
