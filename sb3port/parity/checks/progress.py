"""What is being done, told to whoever listens: comparing takes seconds, of which each stage has its share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def doing(what: str) -> None:
    """Say what begins now, such as "loading SB3"."""
    if (listener := _listener.get()) is not None:
        listener(what)


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Let a function be told of all that is done in this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def within(larger: str) -> Iterator[None]:
    """Put what all of this block belongs to before what is told."""
    listener = _listener.get()
    with heard_by(lambda what: listener(f"{larger}: {what}") if listener else None):
        yield
