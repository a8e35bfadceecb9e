"""A report as JSON: the same bytes for the same report."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from sb3port.files.texts.json_text import JsonText, json_text
from sb3port.reports.numbers import strict

Report: TypeAlias = Mapping[str, Any]


def canonical(report: Mapping[str, Any]) -> Report:
    """Give a report as it is read back from its canonical form, from which all renderings are made."""
    content: Report = json.loads(render_json(report).text)
    return content


def render_json(report: Any) -> JsonText:
    """Give a report, or a list of them, in its one canonical form: keys sorted, all ASCII."""
    try:
        return json_text(report, indent=1, sort_keys=True, end="\n")
    except (ValueError, TypeError):  # a number that JSON has not, or something that is like a dictionary
        return json_text(strict(report), indent=1, sort_keys=True, end="\n")
