"""YAML in ASCII, of plain values only: no tag, and whatever a stranger wrote is an escape in quotes."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium


class YamlText(Medium):
    """A YAML document."""


def yaml_text(content: Mapping[str, Any], comments: Sequence[str] = ()) -> YamlText:
    """Write a mapping, below comments of a line each.

    Raises:
        yaml.YAMLError: A value is none of YAML's own types.
    """
    above = "".join(
        f"# {one_line(comment).encode('ascii', 'backslashreplace').decode()}\n" for comment in comments
    )
    return YamlText(above + str(yaml.safe_dump(dict(content), sort_keys=False, width=100)))
