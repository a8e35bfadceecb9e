"""A notebook as a page: its text, its code, and what it printed and drew when it was last run."""

import json
from collections.abc import Iterator
from typing import Any


def notebook_page(notebook: str, name: str) -> str:
    """Give the page, in Markdown.

    Args:
        notebook: The notebook, as JSON.
        name: Its file, which the page offers.
    """
    parts = [part for cell in json.loads(notebook)["cells"] for part in _cell(cell)]
    title, *rest = parts
    offer = f"This page is a notebook: [{name}]({name})."
    return "\n\n".join([title, offer, *rest]) + "\n"


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield from source.split("\n\n", 1)
        return
    yield f"```python\n{source}\n```"
    for output in cell.get("outputs", []):
        yield from _output(output)


def _output(output: dict[str, Any]) -> Iterator[str]:
    """Give what was printed, or a picture if there is one, or else the text of a value."""
    data = output.get("data", {})
    if output["output_type"] == "stream":
        yield f"```{{ .text .printed }}\n{''.join(output['text']).rstrip()}\n```"
    elif picture := data.get("image/png"):
        yield f'<img alt="" src="data:image/png;base64,{"".join(picture).strip()}">'
    elif text := data.get("text/plain"):
        yield f"```{{ .text .printed }}\n{''.join(text)}\n```"
