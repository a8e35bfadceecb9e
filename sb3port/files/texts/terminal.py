"""Text for terminals, with styles; nothing in it is read as a command or as markup."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from sb3port.files.texts.characters import lines, one_line
from sb3port.files.texts.media import filled

Style: TypeAlias = Literal[
    "", "bold", "dim", "green", "cyan", "bold cyan", "bold red", "bold yellow", "bold underline"
]


@dataclass(frozen=True)
class Span:
    """A piece of text in one style."""

    text: str
    style: Style = ""


@dataclass(frozen=True)
class TerminalText:
    """Text that can be printed on a terminal.

    Args:
        spans: Its pieces; newlines in them are meant.
    """

    spans: tuple[Span, ...] = ()

    @property
    def plain(self) -> str:
        """The text without its styles."""
        return "".join(span.text for span in self.spans)

    def __str__(self) -> str:
        return self.plain

    def lines(self) -> "list[TerminalText]":
        """Give its lines, at least one."""
        found: list[list[Span]] = [[]]
        for span in self.spans:
            first, *others = span.text.split("\n")
            found[-1].append(replace(span, text=first))
            found += [[replace(span, text=text)] for text in others]
        return [TerminalText(tuple(spans)) for spans in found]

    def shortened(self, limit: int) -> "TerminalText":
        """Leave out what is beyond a length, and say how much that is."""
        left_out = len(self.plain) - limit
        if left_out <= 0:
            return self
        kept, room = [], limit
        for span in self.spans:
            kept.append(replace(span, text=span.text[:room]))
            room -= len(kept[-1].text)
        return TerminalText((*kept, Span(f"… ({left_out:,} more characters)")))


def terminal(template: str, *arguments: object) -> TerminalText:
    """Fill a template, which is written in the source, with what strangers wrote.

    Args:
        template: As `filled` takes it; newlines in it are kept.
        arguments: Values of `TerminalText` stay as they are; of others the text is escaped, on one line.
    """
    return styled("", template, *arguments)


def styled(style: Style, template: str, *arguments: object) -> TerminalText:
    """Fill a template as `terminal` does; what has no style yet gets this one."""

    def given(argument: object) -> tuple[Span, ...]:
        if isinstance(argument, TerminalText):
            return tuple(Span(span.text, span.style or style) for span in argument.spans)
        return (Span(one_line(str(argument)), style),)

    parts = filled(template, arguments, lambda own: (Span(own, style),), given)
    return TerminalText(tuple(span for part in parts for span in part))


def shown(text: object) -> TerminalText:
    """Show a stranger's text, on one line."""
    return terminal("{}", text)


def shown_lines(text: str) -> TerminalText:
    """Show a text whose lines are meant, such as a traceback."""
    return TerminalText((Span(lines(text)),))


def shown_rows(rows: Mapping[str, object]) -> dict[TerminalText, TerminalText]:
    """Show names and their values, as `shown` does; what is ready stays as it is."""
    return {shown(name): shown(value) for name, value in rows.items()}


def together(separator: str, parts: Iterable[object]) -> TerminalText:
    """Join what is shown as `shown` does it.

    Args:
        separator: Put between the parts, written in the source.
        parts: Any number.
    """
    found: list[Span] = []
    for part in parts:
        found += [*([Span(separator)] if found else []), *shown(part).spans]
    return TerminalText(tuple(found))
