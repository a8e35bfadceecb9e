"""Code that can be copied and run, of Python or a shell, in which what strangers wrote is a literal."""

import re
import shlex
from typing import ClassVar

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium, filled

_BYTES = range(0xDC80, 0xDD00)  # how Python spells bytes in file names that are no text


class SourceCode(Medium):
    """Code of one language.

    Attributes:
        language: As Markdown calls it.
    """

    language: ClassVar[str]


class PythonCode(SourceCode):
    """Python in which every text of a stranger is a literal of ASCII characters."""

    language = "python"


class ShellCode(SourceCode):
    """Commands for a shell, in which every text of a stranger is one word."""

    language = "sh"


def python(template: str, *arguments: "str | int | PythonCode") -> PythonCode:
    """Fill a template, which is written in the source: texts and numbers become literals."""

    def given(argument: object) -> str:
        if isinstance(argument, PythonCode):
            return argument.text
        return _literal(argument) if isinstance(argument, str) else repr(argument)

    return PythonCode("".join(filled(template, arguments, str, given)))


def shell(template: str, *arguments: object) -> ShellCode:
    """Fill a template, which is written in the source: each argument becomes one word, or a part of one."""

    def given(argument: object) -> str:
        return argument.text if isinstance(argument, ShellCode) else _word(str(argument))

    return ShellCode("".join(filled(template, arguments, str, given)))


def _literal(text: str) -> str:
    r"""Give a text in double quotes; a backtick is `\x60`, because it could end a block of Markdown."""
    found = text.encode("unicode_escape").decode("ascii")
    return f'"{found}"' if not re.search('["`]', found) else _quoted(found)


def _quoted(found: str) -> str:
    return '"{}"'.format(found.replace('"', '\\"').replace("`", "\\x60"))


def _word(text: str) -> str:
    """Quote a text for a shell: plainly where it is plain, else as bash and zsh read escapes."""
    if one_line(text) == text and "`" not in text:
        return shlex.quote(text)
    return "$'{}'".format("".join(map(_shell_character, text)))


def _shell_character(character: str) -> str:
    number = ord(character)
    if character in "\\'":
        return f"\\{character}"
    if number in _BYTES:
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return character if character.isprintable() and character != "`" else f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
