"""Checks of JSON from strangers: what a value must be before anything takes it for what it says it is.

A check takes a value and the place that it has in its file, and raises `Misfit` with one sentence.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from sb3port.checkpoint.plain import is_plain, is_setting

Check: TypeAlias = Callable[[Any, str], None]
_SHOWN = 100


class Misfit(ValueError):
    """A value is not what it must be."""

    def __init__(self, place: str, value: Any, expected: str) -> None:
        super().__init__(f"{place or 'it'} is {_shown(value)}, where {expected} is expected")


def _shown(value: Any) -> str:
    """Show a value in short: what holds others only by how many there are."""
    if isinstance(value, dict | list):
        return f"a {'list' if isinstance(value, list) else 'dictionary'} of {len(value)}"
    if isinstance(value, int) and not is_setting(value):
        return "a number of very many digits"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _test(is_right: Callable[[Any], bool], expected: str) -> Check:
    def check(value: Any, place: str) -> None:
        if not is_right(value):
            raise Misfit(place, value, expected)

    return check


FLAG = _test(lambda value: isinstance(value, bool), "true or false")
SETTING = _test(is_setting, "a number, true, false or null")
PLAIN = _test(is_plain, "a tree of plain values")


def integer(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""
    return _test(
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
        f"a whole number from {low:,} to {high:,}",
    )


def number(low: float, high: float) -> Check:
    """A number from `low` to `high`, which may be infinite; NaN is none."""
    return _test(
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high,
        f"a number from {low:g} to {high:g}",
    )


def text(at_most: int = 1000, pattern: str = "(?s:.*)", called: str = "") -> Check:
    """A text of no more than so many characters, all of it of a pattern, which is called something."""
    whole = re.compile(pattern)
    return _test(
        lambda value: isinstance(value, str) and len(value) <= at_most and bool(whole.fullmatch(value)),
        called or f"a text of at most {at_most:,} characters",
    )


def one_of(*values: Any) -> Check:
    """One of these values."""
    return _test(
        lambda value: any(type(value) is type(one) and value == one for one in values),
        f"one of {', '.join(map(repr, values))}",
    )


def optional(check: Check) -> Check:
    """Null, or what another check takes."""
    return lambda value, place: None if value is None else check(value, place)


def listing(check: Check, at_most: int, at_least: int = 0) -> Check:
    """A list of so many values, each of a kind."""
    fits = _test(
        lambda value: isinstance(value, list) and at_least <= len(value) <= at_most,
        f"a list of {at_least} to {at_most:,}",
    )

    def checked(value: Any, place: str) -> None:
        fits(value, place)
        for index, item in enumerate(value):
            check(item, f"{place}[{index}]")

    return checked


def mapping(check: Check, at_most: int, key: Check | None = None) -> Check:
    """A dictionary of no more than so many values, each of a kind, under keys that are told by `key`."""
    fits = _test(
        lambda value: isinstance(value, dict) and len(value) <= at_most,
        f"a dictionary of at most {at_most:,}",
    )
    check_key = key or text()

    def checked(value: Any, place: str) -> None:
        fits(value, place)
        for name, item in value.items():
            check_key(name, f"a key of {place}")
            check(item, f"{place}.{name[:_SHOWN]}")

    return checked


def record(required: Mapping[str, Check], others: Mapping[str, Check] | None = None) -> Check:
    """A dictionary of known keys: those that it must have, and others that it may have."""
    known = {**required, **(others or {})}
    is_dict = _test(lambda value: isinstance(value, dict), "a dictionary")

    def checked(value: Any, place: str) -> None:
        is_dict(value, place)
        for name in required:
            if name not in value:
                raise Misfit(_below(place, name), None, "a value")
        _refuse_unknown(value, known, place)
        for name, item in value.items():
            known[name](item, _below(place, name))

    return checked


def kinds(key: str, checks: Mapping[str, Check]) -> Check:
    """A dictionary whose value under `key` tells which of the checks holds for it."""
    names = one_of(*checks)

    def checked(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise Misfit(place, value, "a dictionary")
        names(value.get(key), _below(place, key))
        checks[value[key]](value, place)

    return checked


def _refuse_unknown(value: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"{place or 'it'} has the key {_shown(unknown[0])}, which sb3port does not know")


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
