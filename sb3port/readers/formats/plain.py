"""Dictionaries and nested plain data inside a pickle."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from sb3port.checkpoint.plain import is_plain
from sb3port.errors import NotPortable
from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.arrays import as_plain
from sb3port.readers.formats.records import Record, describe

_READ_ONLY = "sacred.config.custom_containers.ReadOnlyDict", "sacred.config.custom_containers.ReadOnlyList"
_MAX_VALUES = 300


def as_dict(value: Any, where: str) -> dict[Any, Any]:
    """Read a dictionary, also one that is ordered or that sacred made read-only; None is an empty one.

    Raises:
        NotPortable: It is something else.
    """
    unpacked = {} if value is None else _unpacked(value)
    if not isinstance(unpacked, dict):
        raise NotPortable(f"{where} is not a dictionary")
    return unpacked


def as_plain_tree(value: Any, where: str) -> Any:
    """Read None, texts and numbers, and lists, tuples and dictionaries of them; tuples become lists.

    Raises:
        NotPortable: Something else is in it, or too much.
    """
    return _tree(value, where, count())


def shown_key(key: Any) -> str:
    """Name a key of a dictionary that a stranger made."""
    return key[:200] if isinstance(key, str) else describe(key)


def _tree(value: Any, where: str, counted: Iterator[int]) -> Any:
    # Values can be shared, or hold themselves, so that there would be no end of them.
    if next(counted) > _MAX_VALUES:
        raise NotPortable(f"{where} holds more than {_MAX_VALUES} values")
    value = _unpacked(value)
    if isinstance(value, dict):
        return {shown_key(key): _tree(item, where, counted) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, where, counted) for item in value]
    if isinstance(value, str):
        spend(Cost.CHARACTERS, len(value), where)
    plain = as_plain(value, where)
    if not is_plain(plain):
        raise NotPortable(f"{where} holds {plain!r:.100}, which is no setting")
    return plain


def _unpacked(value: Any) -> Any:
    """Give the dictionary or list in a record of one; settings of sacred's experiments are read-only ones."""
    if isinstance(value, Record) and value.calls("collections.OrderedDict"):
        return dict(value.pairs)
    is_read_only = isinstance(value, Record) and value.calls(*_READ_ONLY) and len(value.args) == 1
    return value.args[0] if is_read_only else value
