"""Bulk runs as JUnit XML: a case for each model, a suite for all of them."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from sb3port.files.texts.xml_text import XmlFile, element, xml_file, xml_text
from sb3port.reports.bulk.rows import Record, Row, row_of

_BUGS = ("bug", "crashed", "time", "memory")


def render_bulk_junit(records: Sequence[Record]) -> XmlFile:
    """Give one suite with a case for each record; an error is what ended a process, or is a bug."""
    rows = [row_of(record) for record in records]
    failed = [row for row in rows if row.status == "failed"]
    counts = {
        "tests": len(rows),
        "failures": sum(row.reason not in _BUGS for row in failed),
        "errors": sum(row.reason in _BUGS for row in failed),
        "skipped": sum(row.status == "several" for row in rows),
    }
    seconds = f"{sum(row.seconds for row in rows):.3f}"
    attributes = {name: xml_text("{}", value) for name, value in {**counts, "time": seconds}.items()}
    named = {"name": xml_text("sb3port bulk"), **attributes}
    suite = element("testsuite", named, map(_case, rows))
    totals = {name: value for name, value in named.items() if name != "skipped"}
    return xml_file(element("testsuites", totals, [suite]))


def _case(row: Row) -> Element:
    folder, _, name = row.model.rpartition("/")
    attributes = {
        "classname": xml_text("{}", folder.replace("/", ".") or "sb3port"),
        "name": xml_text("{}", name),
        "time": xml_text("{}", f"{row.seconds:.3f}"),
    }
    return element("testcase", attributes, _ended(row))


def _ended(row: Row) -> list[Element]:
    message = {"message": xml_text("{}", row.sentence)}
    if row.status == "several":
        return [element("skipped", message)]
    if row.status != "failed":
        return [element("system-out", {}, text=xml_text("{}", row.verdict))] if row.verdict else []
    tag = "error" if row.reason in _BUGS else "failure"
    text = xml_text("{}: {}\n{}", row.reason, row.sentence, row.hint)
    return [element(tag, {**message, "type": xml_text("{}", row.reason)}, text=text)]
