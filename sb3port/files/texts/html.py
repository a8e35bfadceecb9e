"""HTML, which Jinja escapes; it takes time to import, and is imported by this module alone."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium


class HtmlFile(Medium):
    """A whole page."""


def html_environment(templates: Path) -> Environment:
    """Give what renders the templates of a folder; whatever they are given is text, however it looks."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )


def html_file(environment: Environment, template: str, **values: Any) -> HtmlFile:
    """Render a template, which is named in the source."""
    return HtmlFile(environment.get_template(template).render(**values))


def _shown(value: Any) -> Any:
    """Write out what is not plainly seen in strangers' texts; what templates made is left as it is."""
    return one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value
