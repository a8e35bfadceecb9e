"""JSON in ASCII: whatever a stranger wrote is an escape in it, and read back as it was."""

import json
import math
from collections.abc import Callable
from typing import Any

from sb3port.files.texts.media import Medium


class JsonText(Medium):
    """A JSON value."""


def json_text(value: Any, indent: int | None = None, sort_keys: bool = False, end: str = "") -> JsonText:
    r"""Write a value, and then what shall stand at its end, which is `\n` in files.

    Raises:
        ValueError: A number in it is infinite or NaN, which JSON has no way to write.
    """
    if indent is None:
        return JsonText(json.dumps(value, sort_keys=sort_keys, allow_nan=False) + end)
    return JsonText(_indented(value, " " * indent, sort_keys, "\n") + end)


def _indented(value: Any, indent: str, sort_keys: bool, newline: str) -> str:
    """Write what `json.dumps` writes with an indent, for which it has no fast way before Python 3.14."""
    write = _SCALARS.get(type(value))
    if write is not None:
        return write(value)
    inner = newline + indent
    if isinstance(value, dict) and value:
        items = sorted(value.items()) if sort_keys else value.items()
        rows = [f"{_key(key)}: {_indented(item, indent, sort_keys, inner)}" for key, item in items]
        return f"{{{inner}{f',{inner}'.join(rows)}{newline}}}"
    if isinstance(value, _ROWS) and value:
        rows = [_indented(item, indent, sort_keys, inner) for item in value]
        return f"[{inner}{f',{inner}'.join(rows)}{newline}]"
    return _PLAIN.encode(value)


def _key(key: Any) -> str:
    return _text(key) if type(key) is str else _PLAIN.encode({key: 0})[1:-4]


def _float(value: float) -> str:
    return float.__repr__(value) if math.isfinite(value) else _PLAIN.encode(value)


_PLAIN = json.JSONEncoder(allow_nan=False)
_ROWS = (list, tuple)
_text = json.encoder.encode_basestring_ascii
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _text,
    float: _float,
    int: int.__repr__,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
