"""Names of files made of what strangers wrote: one file, in the folder where it shall be, on any system."""

import keyword
import re
import sys

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium

_ODD = re.compile(r"[^\w.+-]")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # of Windows
_LONGEST = 150
_MOST_BYTES = 200


class FileName(Medium):
    """A file's name: no path, no hidden file, none too long, none that a shell or a browser misreads."""


def file_name(text: str, otherwise: str = "file", hyphens: bool = False) -> FileName:
    """Make a text fit for a file's name.

    Args:
        text: Anything.
        otherwise: The name where nothing is left of it.
        hyphens: Put one hyphen for a row of odd characters, instead of an underscore for each.
    """
    marked = "".join("/" if one_line(character) != character else character for character in text)
    marked = _ODD.sub("/", marked)
    plain = re.sub("/+", "-", marked) if hyphens else marked.replace("/", "_")
    name = plain[:_LONGEST].encode()[:_MOST_BYTES].decode(errors="ignore").strip(".-") or otherwise
    return FileName(f"x-{name}" if _DEVICES.match(name) else name)


def module_name(name: str) -> str:
    """Make a file's name that of a module which Python can import, and which hides no other."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    taken = keyword.iskeyword(plain) or plain in sys.stdlib_module_names or plain == "numpy"
    return f"policy_{plain}" if taken or not plain.isidentifier() else plain
