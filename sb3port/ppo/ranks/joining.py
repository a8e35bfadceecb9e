"""Which process this is, and how it meets the others; torch is loaded only where there are others."""

import os
from typing import TYPE_CHECKING

from sb3port.errors import UsageError, need

if TYPE_CHECKING:
    from sb3port.ppo.ranks.base import Ranks
    from sb3port.ppo.ranks.together import Together

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_joined: "list[Together]" = []


def told() -> tuple[int, int]:
    """Give which process this is, and how many there are, as `torchrun` tells each.

    Raises:
        UsageError: What it tells are no such numbers.
    """
    if any(name not in os.environ for name in _VARIABLES):
        return 0, 1
    rank, size = os.environ["RANK"], os.environ["WORLD_SIZE"]
    if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
        raise UsageError(
            f"RANK is {rank!r} of WORLD_SIZE {size!r}, which number no process",
            "start several processes with torchrun, or unset both to train in one",
        )
    return int(rank), int(size)


def join() -> "Ranks":
    """Meet the other processes, once; there are none but under `torchrun`.

    Raises:
        UsageError: Torch is not installed, or cannot do this.
        RankLost: They do not all come.
    """
    from sb3port.ppo.ranks.base import ALONE

    rank, size = told()
    if size == 1:
        return ALONE
    if not _joined:
        _joined.append(_meet(rank, size))
    return _joined[0]


def _meet(rank: int, size: int) -> "Together":
    need("torch", "training in several processes")
    from torch import distributed

    if not distributed.is_available():
        raise UsageError("this torch cannot train in several processes", "train in one, without torchrun")
    from sb3port.ppo.ranks.together import Together

    return Together.by_environment(rank, size)


def speaks() -> bool:
    """Whether this is the process that tells the user why a command ended.

    Before they meet, all of them end for the same reason: the first one tells it. Afterwards it is whoever
    comes first, because the others only see that somebody is gone.
    """
    if _joined:
        return _joined[0].is_first_to_say()
    try:
        return told()[0] == 0
    except UsageError:
        return True


def leave() -> None:
    """Part from the others, when all is done."""
    if _joined:
        _joined.pop().leave()
