"""Bulk runs as CSV, for spreadsheets: what they would take for a formula is text in it."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, fields

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium
from sb3port.reports.bulk.rows import Record, Row, row_of

_FORMULAS = ("=", "+", "-", "@")


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
    """Give a text on one line, with a quote before it where it begins as formulas do."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
