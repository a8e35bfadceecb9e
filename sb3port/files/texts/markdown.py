"""GitHub's Markdown: prose, inline code, links, tables and blocks of code, of what strangers wrote, too."""

import re
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import quote

from sb3port.errors import shortened
from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium, filled, joined
from sb3port.files.texts.source_code import SourceCode

# What is markup anywhere, links, mentions and emoji by their names; then what is only at the start of a line.
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&$@]|://|(?<=www)\.|:(?=[a-z+-][\w+-]*:)")
_START = re.compile(r"\s+|[-+](?=\s|$)|-(?=-)|=+|\d+(?P<after>[.)])(?=\s|$)")
_OF_ADDRESSES = "/:?#=&%@+,;~"


class Markdown(Medium):
    """Text in GitHub's Markdown, in which nothing that a stranger wrote is markup."""


def markdown(template: str, *arguments: object) -> Markdown:
    """Fill a template, which is written in the source, with what strangers wrote.

    Args:
        template: Markdown, as `filled` takes it.
        arguments: Values of `Markdown` stay as they are; the text of others becomes prose, on one line.
    """

    def given(argument: object) -> str:
        return argument.text if isinstance(argument, Markdown) else _prose(str(argument))

    return Markdown("".join(filled(template, arguments, str, given)))


def code(text: object) -> Markdown:
    """Give a text as inline code, in tables, too."""
    found = shortened(one_line(str(text)))
    if found.strip() and not re.search(r"[`|\\]", found):
        return Markdown(f"`{found}`")
    return Markdown(f"<code>{''.join(c if c.isalnum() or c == ' ' else _entities(c) for c in found)}</code>")


def link(label: Markdown, address: str) -> Markdown:
    """Link a text; it stays without a link where the address is not one of the web."""
    if not address.startswith(("http://", "https://")):
        return label
    return Markdown(f"[{label.text}]({quote(address, safe=_OF_ADDRESSES, errors='replace')})")


def table(
    columns: Sequence[Markdown], rows: Iterable[Sequence[Markdown]], numeric: Collection[int] = ()
) -> Markdown:
    """Give a table.

    Args:
        columns: Their titles.
        rows: A cell for each column.
        numeric: Numbers of the columns that are right-aligned.
    """
    ruler = "|".join("---:" if index in numeric else "---" for index in range(len(columns)))
    first, *others = (f"| {joined(Markdown, ' | ', row)} |" for row in (columns, *rows))
    return Markdown("\n".join([first, f"|{ruler}|", *others]))


def bullets(items: Iterable[Markdown]) -> Markdown:
    """Give a list."""
    return joined(Markdown, "\n", (markdown("- {}", item) for item in items))


def fenced(source: SourceCode) -> Markdown:
    """Give a block of code, whose fence is longer than any row of backticks in it."""
    longest = max(map(len, re.findall(r"`+", source.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}{source.language}\n{source}\n{fence}")


def _prose(text: str) -> str:
    found = shortened(one_line(text))
    if start := _START.match(found):
        begin, end = start.span(start.lastgroup or 0)
        return f"{found[:begin]}{_entities(found[begin:end])}{_inner(found[end:])}"
    return _inner(found)


def _inner(text: str) -> str:
    return _SPECIAL.sub(lambda special: _entities(special[0]), text)


def _entities(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)
