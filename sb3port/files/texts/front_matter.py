"""YAML, as it stands in front of Markdown between two lines of hyphens."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.markdown import Markdown


def front_matter(fields: Mapping[str, Any]) -> Markdown:
    """Write fields; where one of their texts is not plain, all are written in quotes and in ASCII."""
    plain = all(one_line(text) == text for text in _texts(fields))
    style = {"allow_unicode": True} if plain else {"default_style": '"', "width": float("inf")}
    return Markdown(f"---\n{str(yaml.safe_dump(dict(fields), sort_keys=False, **style)).strip()}\n---")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (*_texts(key), *_texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
