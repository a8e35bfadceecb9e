"""What MkDocs does beside rendering docs/: pages from the root, from the notebook and from the code.

Pages link to each other and to the code as they lie in the repository, so that links work there, too; here
they are turned to where a page is on the site, or to the repository.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from command_reference import command_reference
from mkdocs.structure.files import File, Files
from notebook_page import notebook_page

ROOT = Path(__file__).parents[2]
# Pages at the root of the repository, and what they are called on the site.
AT_THE_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
NOTEBOOK = "tour.ipynb"
_MOVED = AT_THE_ROOT | {f"docs/{NOTEBOOK}": "tour.md"}
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    for source, page in AT_THE_ROOT.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, source, config.repo_url)))
    notebook = (ROOT / "docs" / NOTEBOOK).read_text(encoding="utf-8")
    files.append(File.generated(config, "tour.md", content=notebook_page(notebook, NOTEBOOK)))
    files.append(File.generated(config, "commands.md", content=command_reference()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Turn the links of a page in docs/."""
    generated = page.file.generated_by is not None
    return markdown if generated else relinked(markdown, f"docs/{page.file.src_uri}", config.repo_url)


def relinked(markdown: str, source: str, repository: str) -> str:
    """Turn the links of a page, which lies at `source`, to pages of the site, or to the repository.

    What is nowhere is left as it is, for MkDocs to complain of.
    """

    def turned(link: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        if (moved := _MOVED.get(place)) is not None:
            return f"{link[1]}{moved}{link[3]}"
        if place.startswith("docs/"):
            return f"{link[1]}{place.removeprefix('docs/')}{link[3]}"
        if (ROOT / place).exists() and not place.startswith(".."):
            return f"{link[1]}{repository}/blob/main/{place}{link[3]}"
        return link[0]

    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)  # code has no links
    return "".join(part if part.startswith("```") else _LINK.sub(turned, part) for part in parts)
