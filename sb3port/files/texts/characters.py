"""Characters that must not reach a reader as they are: they steer terminals, turn text, hide, or pile up."""

import re
import unicodedata

# What Unicode says to draw nothing for, though Python calls it printable, and the blank of Braille.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
_MOST_MARKS = 4  # on one letter: no script writes more


def one_line(text: str) -> str:
    r"""Write out as escapes, such as `\x1b` or `\u202e`, whatever is not plainly seen; newlines, too."""
    if text.isascii() and text.isprintable():
        return text
    marks, found = _MOST_MARKS, []  # a mark in front would sit on what stands before the text
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        found.append(character if _is_plain(character) and marks <= _MOST_MARKS else escaped(character))
    return "".join(found)


def lines(text: str) -> str:
    """Write out the same as `one_line`, but for newlines."""
    return "\n".join(map(one_line, text.split("\n")))


def escaped(character: str) -> str:
    r"""Give the escape of a character, in ASCII, as Python writes it: `\n`, `\xa0`, `\u202e`."""
    return character.encode("unicode_escape").decode("ascii")


def _is_plain(character: str) -> bool:
    return character.isprintable() and not _INVISIBLE.match(character)
