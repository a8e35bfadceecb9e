"""What came of the same bytes before, for whoever reads many models.

The models of one owner, and the checkpoints of one run even more, have the same spaces, schedules, settings
and lists of tensors: only the numbers differ. What is remembered depends on nothing but the bytes that it
was read from, and nobody changes it, so that no file can change what is read of another.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

_LARGEST, _MOST = 32 * 1024, 2 * 1024**2  # bytes that were read; records take fifty times as much

T = TypeVar("T")


class _Memory:
    """What is known, by the kind of reading and the bytes."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, bytes], Any] = {}
        self.size = 0

    def keep(self, key: tuple[str, bytes], value: Any) -> None:
        """Remember something; all else is forgotten where that becomes too much."""
        if self.size + len(key[1]) > _MOST:
            self.known.clear()
            self.size = 0
        self.known[key] = value
        self.size += len(key[1])


_memory = _Memory()
_remembering: ContextVar[bool] = ContextVar("remembering", default=False)


@contextmanager
def remembering() -> Iterator[None]:
    """Let `recalled` remember in this block, and from one such block to the next."""
    token = _remembering.set(True)
    try:
        yield
    finally:
        _remembering.reset(token)


def recalled(kind: str, data: bytes, read: Callable[[], T], keeps: Callable[[T], bool] = lambda _: True) -> T:
    """Read something, or remember what came of the same bytes, where that is wanted.

    Args:
        kind: How it is read.
        data: All that the result depends on.
        read: Reads it; what it raises is raised, and not remembered.
        keeps: Whether a result may be given again.
    """
    if not _remembering.get() or len(data) > _LARGEST:
        return read()
    key = (kind, data)
    if key in _memory.known:
        value: T = _memory.known[key]
        return value
    value = read()
    if keeps(value):
        _memory.keep(key, value)
    return value
