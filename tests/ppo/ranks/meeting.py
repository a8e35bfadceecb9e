"""Several ranks without torchrun: threads of this process, and forks of it that talk by gloo."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed

from sb3port.errors import Sb3portError
from sb3port.ppo.ranks import joining
from sb3port.ppo.ranks.base import Ranks

T = TypeVar("T")


class _Meeting:
    def __init__(self, size: int) -> None:
        self._barrier, self._values = threading.Barrier(size, timeout=30), [None] * size

    def exchange(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._barrier.wait()
        found = list(self._values)
        self._barrier.wait()
        return found


class Threads(Ranks):
    """A rank that is a thread.

    Attributes:
        messages: How many it took part in.
    """

    def __init__(self, rank: int, size: int, meeting: _Meeting) -> None:
        self.rank, self.size, self._meeting, self.messages = rank, size, meeting, 0

    def mean(self, flat: Any, *beside: float) -> tuple[float, ...]:
        given = torch.as_tensor(flat)
        found = self._exchange((given.clone(), beside))
        given.copy_(torch.stack([values for values, _ in found]).mean(0))
        return tuple(sum(values) / self.size for values in zip(*(more for _, more in found), strict=True))

    def rows(self, rows: Any) -> Any:
        return torch.cat([torch.as_tensor(own) for own in self._exchange(rows.copy())]).numpy()

    def gather(self, content: bytes) -> list[bytes]:
        return self._exchange(content)

    def _exchange(self, value: Any) -> list[Any]:
        self.messages += 1
        return self._meeting.exchange(self.rank, value)


def in_threads(size: int, job: Callable[[Threads], T]) -> list[T]:
    """Let every rank do a job, each in a thread, and give what they give."""
    meeting = _Meeting(size)
    with ThreadPoolExecutor(size) as pool:
        jobs = [pool.submit(job, Threads(rank, size, meeting)) for rank in range(size)]
        return [done.result() for done in jobs]


def in_forks(size: int, folder: Path, job: Callable[[Ranks], None]) -> Sequence[int]:
    """Let every rank do a job, each in a fork of this process, by gloo.

    What one of them says of an error of ours is in `folder / "said.<rank>"`.

    Returns:
        The exit codes; -9 of one that was killed.
    """
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _run(rank, size, folder, job)
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _run(rank: int, size: int, folder: Path, job: Callable[[Ranks], None]) -> int:
    from sb3port.ppo.ranks.together import Together

    store = distributed.FileStore(str(folder / "store"), size)
    store.set_timeout(timedelta(seconds=30))
    told = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "localhost", "MASTER_PORT": 1}
    os.environ.update({name: str(value) for name, value in told.items()})
    try:
        joining._joined.append(Together(store, rank, size))
        job(joining.join())
        return 0
    except Sb3portError as error:
        (folder / f"said.{rank}").write_text(f"{error.message}\n{error.hint}")
        return error.exit_code
    except BaseException as error:
        print(repr(error), file=sys.stderr)  # noqa: T201
        raise
