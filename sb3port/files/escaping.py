"""Texts of strangers, such as names in a checkpoint, made harmless for whatever shows them."""

import re

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&$@]|://|(?<=www)\.")


def visible(text: str) -> str:
    """Write control characters out, apart from newlines: they must not steer a terminal or turn text."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Write control characters out, newlines too."""
    return visible(text).replace("\n", "\\n")


def markdown_text(text: str) -> str:
    """Give a text as prose in GitHub's Markdown, in tables, too: no markup, link, formula or mention."""
    return _SPECIAL.sub(lambda found: _entities(found[0]), one_line(text))


def markdown_code(text: str) -> str:
    """Give a text as code in GitHub's Markdown, in tables, too."""
    shown = one_line(text)
    if shown.strip() and not re.search(r"[`|\\]", shown):
        return f"`{shown}`"
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else _entities(c) for c in shown)}</code>"


def _entities(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)
