"""What the symbolic pickle reader gives in place of classes, functions and objects: inert records.

They come from strangers, who can share and nest them so that writing one out would never end. Therefore no
error message holds more of a value than `describe` says of it.
"""

from dataclasses import dataclass, field
from typing import Any

_MAX_KEY_PARTS = 64
_MAX_KEY_NUMBER = 2**60
_MAX_SHOWN = 200


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names, never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


# Where the code is that a pickle carries itself, by the names of its functions and classes.
IN_FILE = "<code in the file>"
# Stands among the imports of a pickle that calls such a function, or anything else that it has put together.
CALLED = Global(IN_FILE, "<called>")


@dataclass(eq=False, repr=False)
class Record:
    """What the pickle would have built by `target(*args)`.

    Args:
        target: A `Global`, or another record where the pickle calls what it built.
        states: Arguments of `__setstate__`, in order.
        items: What the pickle would have appended to or added to it.
        pairs: Key and value of every item the pickle would have set on it.
        decoded: What it was read as, where that took memory and others may share it.
        reached: What `getattr` would give here, by its dotted name; None for every other call.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    states: list[Any] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    decoded: Any = None
    reached: Global | None = None

    def __repr__(self) -> str:
        return f"a call of {describe(self.target)}"

    def calls(self, *names: str) -> bool:
        """Whether the target is a global of one of these dotted names."""
        return isinstance(self.target, Global) and str(self.target) in names

    @property
    def attributes(self) -> dict[str, Any]:
        """What the states would have set in the instance dictionary, later ones over earlier ones."""
        states = [state[0] if isinstance(state, tuple) and state else state for state in self.states]
        return {k: v for state in states if isinstance(state, dict) for k, v in state.items()}


@dataclass(frozen=True)
class PersistentId:
    """A reference to something outside the pickle, such as a torch storage."""

    value: Any


def describe(value: Any) -> str:
    """Say what a value is, without writing out what it holds: a record by the name of what it calls."""
    target = value.target if isinstance(value, Record) else value
    if isinstance(target, Global):
        return str(target)[:_MAX_SHOWN]
    return "a call of something unnamed" if isinstance(value, Record) else type(value).__name__


def checked_key(key: Any) -> Any:
    """Give a key back that is cheap to hash.

    A tuple of shared tuples can take exponential time; numbers beyond 2**60 can be made to collide.

    Raises:
        TypeError: It is of another kind, or too large.
    """
    pending, count = [key], 0
    while pending:
        part, count = pending.pop(), count + 1
        if isinstance(part, tuple | frozenset) and len(part) + count <= _MAX_KEY_PARTS:
            pending.extend(part)
        elif count > _MAX_KEY_PARTS or not _is_cheap(part):
            raise TypeError(f"a {describe(part)} as a key, or within one")
    return key


def _is_cheap(part: Any) -> bool:
    if isinstance(part, int | float):
        return abs(part) < _MAX_KEY_NUMBER or part in (float("inf"), float("-inf"))
    return part is None or isinstance(part, str | bytes | Global | Record)
