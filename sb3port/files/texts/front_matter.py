"""YAML, as it stands in front of Markdown between two lines of hyphens."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.markdown import Markdown

# No text of it is a number, a date or a sign of YAML's, and none is long enough to be folded.
_SIMPLE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,59}", re.ASCII)
_WORDS = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null"))


def front_matter(fields: Mapping[str, Any]) -> Markdown:
    """Write fields; where one of their texts is not plain, all are written in quotes and in ASCII."""
    if all(map(_is_simple, _texts(fields))) and all(map(_is_flat, fields.values())):
        return Markdown(f"---\n{_simple(fields)}\n---")
    plain = all(one_line(text) == text for text in _texts(fields))
    style = {"allow_unicode": True} if plain else {"default_style": '"', "width": float("inf")}
    return Markdown(f"---\n{str(yaml.safe_dump(dict(fields), sort_keys=False, **style)).strip()}\n---")


def _is_simple(text: str) -> bool:
    """Whether YAML writes a text as it is: as nearly all of cards, for which PyYAML takes long."""
    return _SIMPLE.fullmatch(text) is not None and text.lower() not in _WORDS


def _is_flat(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and len(value) > 0 and all(isinstance(item, str) for item in value)
    )


def _simple(fields: Mapping[str, str | list[str]]) -> str:
    """Write texts, and lists of them, as PyYAML does."""
    rows = [
        f"{key}: {value}" if isinstance(value, str) else "\n- ".join((f"{key}:", *value))
        for key, value in fields.items()
    ]
    return "\n".join(rows)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (*_texts(key), *_texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
