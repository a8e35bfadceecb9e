"""Bulk runs as CSV, for spreadsheets: what they would take for a formula is text in it."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import astuple, fields

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium
from sb3port.reports.bulk.rows import Record, Row, row_of

# At the beginning of a text; or behind a `;`, which is between cells in half of Europe. The wide ones are the
# same to spreadsheets in Japanese.
_FORMULAS = re.compile(r"(^|;)(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


class CsvFile(Medium):
    """A whole table."""


def render_csv(records: Iterable[Record]) -> CsvFile:
    """Give a table with a row for each record, and the names of its columns above."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([column.name for column in fields(Row)])
    for record in records:
        writer.writerow(map(_cell, astuple(row_of(record))))
    return CsvFile(file.getvalue())


def _cell(value: object) -> object:
    """Give a text on one line, with a quote before what begins as formulas do."""
    return _FORMULAS.sub(r"\1\2'", one_line(value)) if isinstance(value, str) else value
