"""What reading the files of strangers may cost, charged before it is spent.

A file of a few megabytes can stand for gigabytes, or for minutes: members that swell, values that are shared
and written out again and again, one long name that is named a million times. So everything that a command
reads is charged to one budget, by every reader: bytes of files, memory, opcodes of pickles, values, texts,
and time. What it allows grows with the size of the files, so that a large checkpoint that is honest has
enough; where it has not, the user can allow more.
"""

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import ParamSpec, TypeVar

from sb3port.errors import NotPortable, UsageError

VARIABLE = "SB3PORT_LIMITS"
"""The environment variable by which limits are multiplied, where no command's `--limits` does."""

P = ParamSpec("P")
R = TypeVar("R")


class Cost(Enum):
    """What is limited: its name in a sentence."""

    BYTES = "of files"
    MEMORY = "of memory"
    OPCODES = "opcodes of pickles"
    VALUES = "values"
    CHARACTERS = "characters of text"
    FILES = "files"
    SECONDS = "seconds"

    __hash__ = object.__hash__  # which takes no time: `Enum` hashes names


# An honest checkpoint takes a hundredth of this, beside its bytes.
_LIMITS = {
    Cost.BYTES: 4 * 1024**3,
    Cost.MEMORY: 192 * 1024**2,
    Cost.OPCODES: 300_000,
    Cost.VALUES: 500_000,
    Cost.CHARACTERS: 4_000_000,
    Cost.FILES: 50_000,
    Cost.SECONDS: 20.0,
}
# How much more of something is allowed for each byte of the files: an archive, its members and its arrays;
# bounds of a large space, a line of JSON each.
_PER_BYTE = {Cost.MEMORY: 8.0, Cost.VALUES: 0.05, Cost.SECONDS: 1e-7}
_MAX_FACTOR = 1000.0
_EVERY = 8  # charges between two looks at the clock, which is asked through the kernel


class Budget:
    """What one command may still spend.

    Args:
        factor: What all limits are multiplied by.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.spent: dict[Cost, float] = dict.fromkeys(Cost, 0)
        self.charges = 0
        self.began: float | None = None

    def limit(self, cost: Cost) -> float:
        """How much of something there is in all."""
        return self.factor * (_LIMITS[cost] + _PER_BYTE.get(cost, 0.0) * self.spent[Cost.BYTES])

    def spend(self, cost: Cost, amount: float, where: str) -> None:
        """Charge something that is about to be used.

        Raises:
            NotPortable: There is not that much left.
        """
        if self.spent[cost] + amount > self.limit(cost):
            raise self._refusal(cost, where)
        self.spent[cost] += amount
        self.charges += 1
        if (
            self.began is not None
            and self.charges % _EVERY == 0
            and time.process_time() - self.began > self.limit(Cost.SECONDS)
        ):
            raise self._refusal(Cost.SECONDS, where)

    def _refusal(self, cost: Cost, where: str) -> NotPortable:
        if cost is Cost.FILES:
            few = f"{where[:200]} holds more than {self.limit(cost):,.0f} files and folders"
            return NotPortable(few, "name the file or the folder that is meant")
        limit = f"{_shown(self.limit(cost), cost)} {cost.value}"
        return NotPortable(
            f"reading {where[:200]} takes more than {limit}, which no honest checkpoint of its size does",
            f"if you trust it, allow more of everything with --limits {4 * self.factor:g}",
        )


def _shown(limit: float, cost: Cost) -> str:
    if cost not in (Cost.BYTES, Cost.MEMORY):
        return f"{limit:,.0f}"
    return f"{limit / 1024**2:,.0f} MiB"


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


def spend(cost: Cost, amount: float, where: str) -> None:
    """Charge the budget of whatever is being read; see `Budget.spend`."""
    (_current.get() or Budget(factor())).spend(cost, amount, where)


@contextmanager
def budget(factor: float) -> Iterator[Budget]:
    """Let everything that is read in this block share one budget."""
    made = Budget(factor)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def metered(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that reads files have a budget of its own, unless its caller has one for both.

    Seconds count from the outermost of such calls to its end.
    """

    @functools.wraps(function)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        current = _current.get()
        if current is None:
            with budget(factor()):
                return reading(*args, **kwargs)
        if current.began is not None:
            return function(*args, **kwargs)
        current.began = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            current.began = None

    return reading


def allow_more(factor: float) -> None:
    """Multiply the limits of whatever is read from now on, by this process and those that it starts."""
    os.environ[VARIABLE] = f"{factor:g}"
    if (current := _current.get()) is not None:
        current.factor = factor


def factor() -> float:
    """What the user multiplies limits by, 1 where nothing is said.

    Raises:
        UsageError: SB3PORT_LIMITS is no such number.
    """
    return checked_factor(os.environ.get(VARIABLE) or "1", VARIABLE)


def checked_factor(text: str, name: str) -> float:
    """Read a factor.

    Raises:
        UsageError: It is no number from 1 to 1000.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1 <= number <= _MAX_FACTOR:
        raise UsageError(f"{name} is {text[:100]!r}, which is no number from 1 to {_MAX_FACTOR:g}")
    return number
