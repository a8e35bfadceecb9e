"""JSON in ASCII: whatever a stranger wrote is an escape in it, and read back as it was."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from sb3port.files.texts.media import Medium


class JsonText(Medium):
    """A JSON value."""


def json_text(
    value: Any, indent: int | None = None, sort_keys: bool = False, end: str = "", strict: bool = True
) -> JsonText:
    r"""Write a value, and then what shall stand at its end, which is `\n` in files.

    Args:
        value: What to write.
        indent: How many spaces each level has; None for one line.
        sort_keys: Whether keys are sorted.
        end: What stands at the end.
        strict: False to write numbers that JSON has no way to write as Python's `json` does: `-Infinity`.

    Raises:
        ValueError: It is strict, and a number is infinite or NaN.
    """
    if indent is None:
        return JsonText(json.dumps(value, sort_keys=sort_keys, allow_nan=not strict) + end)
    return JsonText(_Indented(" " * indent, sort_keys, strict).written(value, "\n") + end)


class _Indented:
    """Writes what `json.dumps` writes with an indent, for which it has no fast way before Python 3.14."""

    def __init__(self, indent: str, sort_keys: bool, strict: bool) -> None:
        self._indent, self._sort_keys = indent, sort_keys
        self._plain = json.JSONEncoder(allow_nan=not strict)
        self._scalars: dict[type, Callable[[Any], str]] = {**_SCALARS, float: self._float}

    def written(self, value: Any, newline: str) -> str:
        """Write a value, of which every line begins with `newline`."""
        write = self._scalars.get(type(value))
        if write is not None:
            return write(value)
        inner = newline + self._indent
        if isinstance(value, dict) and value:
            items = sorted(value.items()) if self._sort_keys else value.items()
            rows = [f"{self._key(key)}: {self.written(item, inner)}" for key, item in items]
            return f"{{{inner}{f',{inner}'.join(rows)}{newline}}}"
        if isinstance(value, _ROWS) and value:
            if (numbers := self._numbers(value, inner)) is not None:
                return f"[{inner}{numbers}{newline}]"
            rows = [self.written(item, inner) for item in value]
            return f"[{inner}{f',{inner}'.join(rows)}{newline}]"
        return self._plain.encode(value)

    def _numbers(self, value: Sequence[Any], newline: str) -> str | None:
        """Write what is in a list of numbers, or of lists of numbers; None for what is neither.

        Reports have thousands of them, which `json` writes ten times as fast in one line.
        """
        first = value[0]
        inside = first[0] if type(first) in _ROWS and first else first
        if type(inside) not in (float, int):
            return None
        line = self._plain.encode(value)[1:-1]
        if type(first) is not list and type(first) is not tuple and _FLAT.fullmatch(line):
            return line.replace(", ", f",{newline}")
        if not _NESTED.fullmatch(line):
            return None
        inner = newline + self._indent
        between = line[1:-1].replace("], [", "|").replace(", ", f",{inner}")
        rows = between.replace("|", f"{newline}],{newline}[{inner}")
        return f"[{inner}{rows}{newline}]"

    def _key(self, key: Any) -> str:
        return _text(key) if type(key) is str else self._plain.encode({key: 0})[1:-4]

    def _float(self, value: float) -> str:
        return float.__repr__(value) if math.isfinite(value) else self._plain.encode(value)


_ROWS = (list, tuple)
# As `json` writes numbers, and rows of them, none of which is empty.
_FLAT = re.compile(r"[-+.\de]+(, [-+.\de]+)*")
_NESTED = re.compile(r"\[[-+.\de]+(, [-+.\de]+)*\](, \[[-+.\de]+(, [-+.\de]+)*\])*")
_text = json.encoder.encode_basestring_ascii
_SCALARS: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: int.__repr__,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
