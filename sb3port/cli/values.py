"""Values of options, read and refused in our own words, before anything else is done."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from sb3port.checkpoint.str_enum import StrEnum
from sb3port.errors import did_you_mean

_LONGEST = 200
_EXACT = 2**53  # up to which floats count
C = TypeVar("C", bound=StrEnum)


class BadValue(typer.BadParameter):
    """A value that its option does not take.

    Args:
        message: What is wrong, after the name of the option, such as "is 'x', which is no number".
        hint: What to write instead.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def whole_number(least: int | None = None, most: int | None = None) -> Callable[[Any], int]:
    """Give what reads a whole number, which may be written 100000, 100_000 or 1e5.

    Args:
        least: The smallest one that is taken.
        most: The largest one.
    """

    def read(value: Any) -> int:
        number = _whole(value)
        if number is None:
            hint = "write it like 100000, 100_000 or 1e5"
            raise BadValue(f"is {_shown(value)}, which is no whole number", hint)
        _check_limits(value, number, least, most)
        return number

    return read


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) <= _EXACT else None


def number(least: float | None = None) -> Callable[[Any], float]:
    """Give what reads a number.

    Args:
        least: The smallest one that is taken.
    """

    def read(value: Any) -> float:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if math.isnan(found):
            raise BadValue(f"is {_shown(value)}, which is no number", "write it like 0.0003 or 3e-4")
        _check_limits(value, found, least, None)
        return found

    return read


def _check_limits(value: Any, number: float, least: float | None, most: float | None) -> None:
    if least is not None and number < least:
        raise BadValue(f"is {_shown(value)}, but it must be at least {least:,}")
    if most is not None and number > most:
        raise BadValue(f"is {_shown(value)}, but it must be at most {most:,}")


def choice(words: type[C]) -> Callable[[Any], C]:
    """Give what reads one of several words."""

    def read(value: Any) -> C:
        known = [str(word) for word in words]
        if str(value) not in known:
            listed = f"one of {', '.join(known)}" if len(known) > 1 else known[0]
            hint = did_you_mean(str(value), known)
            raise BadValue(f"is {_shown(value)}, but it must be {listed}", hint)
        return words(str(value))

    return read


def one_of(words: type[StrEnum], help_: str, *names: str, metavar: str = "NAME") -> Any:
    """Give an option that takes one of several words, and completes them.

    Args:
        words: All of them.
        help_: What it is for.
        names: How it is written, where not by the parameter's name.
        metavar: What stands for the word in the help.
    """
    return typer.Option(
        *names, metavar=metavar, parser=choice(words), autocompletion=beginning_with(words), help=help_
    )


def beginning_with(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Give what completes words on the command line."""

    def complete(incomplete: str) -> list[str]:
        return [str(word) for word in words if str(word).startswith(incomplete)]

    return complete


def folder(value: Any) -> Path:
    """Read the path of a folder, which need not be there."""
    path = Path(value)
    if path.exists() and not path.is_dir():
        raise BadValue(f"is {_shown(value)}, which is a file and no folder", "name a folder")
    return path


def environment_ids(incomplete: str) -> Sequence[str]:
    """Complete the id of an environment."""
    try:
        import gymnasium
    except ImportError:
        return []
    return [name for name in sorted(gymnasium.registry) if name.startswith(incomplete)]


def _shown(value: Any) -> str:
    return repr(str(value)[:_LONGEST])
