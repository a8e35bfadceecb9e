"""Reports written to a folder, and to the summary of a CI run."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sb3port.errors import UsageError
from sb3port.files.texts.media import Medium
from sb3port.files.texts.names import FileName, file_name
from sb3port.reports.json_text import Report, canonical, render_json
from sb3port.reports.junit import render_junit
from sb3port.reports.markdown import render_markdown, render_markdown_index
from sb3port.reports.words import HOLDING, by_verdict, model_name

if TYPE_CHECKING:
    from sb3port.files.texts.html import HtmlFile

FILES = {"json": "parity.json", "md": "parity.md", "junit": "junit.xml", "html": "parity.html"}
INDEX = "index.html"
SUMMARY = "GITHUB_STEP_SUMMARY"
_IN_SUMMARY = 10  # whole reports, beside an index: the summary of a step has its limit


def write_reports(report: Mapping[str, Any], folder: Path | None, summarise: bool = True) -> None:
    """Write a report in every form, and append it to the summary of a GitHub workflow where there is one.

    Args:
        report: As JSON values; infinity and NaN may be floats.
        folder: Where `parity.json`, `parity.md`, `junit.xml` and `parity.html` shall lie; None for nowhere.
        summarise: Whether it is appended.

    Raises:
        UsageError: The folder cannot be written.
    """
    content = canonical(report)
    if folder is not None:
        write_files(folder, {file_name(FILES[form]): render([content], form) for form in FILES})
    if summarise:
        _append_to_summary(render_markdown(content))


def write_index(reports: Sequence[Mapping[str, Any]], names: Sequence[FileName], folder: Path | None) -> None:
    """Write the index of several reports, each of which has a folder of its own already.

    The summary of a GitHub workflow gets the index, and those reports that say no.

    Args:
        reports: As JSON values.
        names: Of their folders.
        folder: Where these are, and where `index.html`, `parity.json`, `parity.md` and `junit.xml` shall lie;
            None for nowhere.
    """
    contents = [canonical(report) for report in reports]
    if folder is not None:
        from sb3port.reports.html import render_html_index

        forms = [form for form in FILES if form != "html"]
        files = {file_name(FILES[form]): _RENDERERS[form][1](contents) for form in forms}
        links = [(name, file_name(FILES["html"])) for name in names]
        write_files(folder, {**files, file_name(INDEX): render_html_index(contents, links)})
    failing = [report for report in by_verdict(contents) if report["verdict"] not in HOLDING]
    _append_to_summary(render_markdown_index(contents), *map(render_markdown, failing[:_IN_SUMMARY]))


def _append_to_summary(*texts: Medium) -> None:
    if summary := os.environ.get(SUMMARY):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.writelines(f"{text.text}\n" for text in texts)


def keep_report(report: Mapping[str, Any], port: Path) -> Report:
    """Write a report into a port, and give it as it is read back.

    Args:
        report: As JSON values; infinity and NaN may be floats.
        port: The folder.
    """
    text = render_json(report).text
    (port / FILES["json"]).write_text(text, encoding="utf-8", newline="\n")
    content: Report = json.loads(text)
    return content


def render(reports: Sequence[Report], form: str) -> Medium:
    """Render one report, or an index of several.

    Args:
        reports: The reports, at least one.
        form: A key of `FILES`.
    """
    one, several = _RENDERERS[form]
    return one(reports[0]) if len(reports) == 1 else several(reports)


def render_folder(reports: Sequence[Report], forms: Sequence[str]) -> dict[FileName, Medium]:
    """Give the content of a folder by file name; several reports get an `index.html` and a page each."""
    shown = [form for form in forms if form != "html" or len(reports) == 1]
    files = {file_name(FILES[form]): render(reports, form) for form in shown}
    if "html" not in forms or len(reports) == 1:
        return files
    from sb3port.reports.html import render_html, render_html_index

    names = unique_names([model_name(report) for report in reports], ".html")
    pages = {name: render_html(report) for name, report in zip(names, reports, strict=True)}
    return {**files, **pages, file_name(INDEX): render_html_index(reports, [(name,) for name in names])}


def unique_names(names: Sequence[str], ending: str = "") -> list[FileName]:
    """Make names fit for files, each another; none of them is "index"."""
    taken = {"index"}
    return [
        file_name(_untaken(file_name(name, "port", hyphens=True).text[:100], taken) + ending)
        for name in names
    ]


def _untaken(name: str, taken: set[str]) -> str:
    count, found = 1, name
    while found.lower() in taken:
        count += 1
        found = f"{name}-{count}"
    taken.add(found.lower())
    return found


def write_files(folder: Path, contents: Mapping[FileName, Medium]) -> None:
    """Write text files so that none of them is ever half there.

    Raises:
        UsageError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".reports-", dir=folder) as staging:
            for name, text in contents.items():
                (Path(staging) / name.text).write_text(text.text, encoding="utf-8", newline="\n")
            for name in contents:
                (Path(staging) / name.text).replace(folder / name.text)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error


def _html(report: Report) -> "HtmlFile":
    from sb3port.reports.html import render_html  # Jinja takes time to import

    return render_html(report)


def _html_index(reports: Sequence[Report]) -> "HtmlFile":
    from sb3port.reports.html import render_html_index

    return render_html_index(reports, [()] * len(reports))


_RENDERERS: dict[str, tuple[Callable[[Report], Medium], Callable[[Sequence[Report]], Medium]]] = {
    "json": (render_json, render_json),
    "md": (render_markdown, render_markdown_index),
    "junit": (lambda report: render_junit([report]), render_junit),
    "html": (_html, _html_index),
}
