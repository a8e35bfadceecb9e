"""JSON in ASCII: whatever a stranger wrote is an escape in it, and read back as it was."""

import json
from typing import Any

from sb3port.files.texts.media import Medium


class JsonText(Medium):
    """A JSON value."""


def json_text(value: Any, indent: int | None = None, sort_keys: bool = False, end: str = "") -> JsonText:
    r"""Write a value, and then what shall stand at its end, which is `\n` in files.

    Raises:
        ValueError: A number in it is infinite or NaN, which JSON has no way to write.
    """
    return JsonText(json.dumps(value, indent=indent, sort_keys=sort_keys, allow_nan=False) + end)
