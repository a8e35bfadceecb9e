"""The log of a training: one row per iteration, as CSV for spreadsheets and as JSON lines for programs."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sb3port.files.staging import staged_file

Row: TypeAlias = Mapping[str, float | int | None]

STEPS = "time/total_timesteps"
JSON_FILE, CSV_FILE = "progress.jsonl", "progress.csv"


class TrainingLog:
    """Appends rows to `progress.jsonl` and `progress.csv`.

    Args:
        folder: Where they are.
        done: Environment steps at which the training goes on: rows of later ones, which a run that was cut
            off had written, are removed.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._json, self._csv = folder / JSON_FILE, folder / CSV_FILE
        kept = [row for row in read_log(self._json) if row[STEPS] <= done]
        self._json.write_text("".join(_line(row) for row in kept), encoding="utf-8")
        self._columns: list[str] = []
        self._begin_table(kept)

    def write(self, row: Row) -> None:
        """Append a row; NaN becomes an empty cell."""
        with self._json.open("a", encoding="utf-8") as file:
            file.write(_line(row))
        if set(row) <= set(self._columns):
            self._append(row)
        else:  # columns of evaluations, say, which the rows before have not
            self._begin_table(read_log(self._json))

    def _begin_table(self, rows: list[dict[str, Any]]) -> None:
        """Write the table anew, with all columns there are; the file is a whole one at any time."""
        self._columns = list(dict.fromkeys(name for row in rows for name in row))
        with (
            staged_file(self._csv, force=True) as staged,
            staged.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, self._columns)
            if rows:
                writer.writeheader()
            writer.writerows(rows)

    def _append(self, row: Row) -> None:
        with self._csv.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a log; a last row that was cut off is left out, and an absent file has none."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def _line(row: Row) -> str:
    return json.dumps(dict(row), allow_nan=False) + "\n"
