"""The log of a training: one row per iteration, as CSV for spreadsheets and as JSON lines for programs."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, float | int | None]

_STEPS = "time/total_timesteps"


class TrainingLog:
    """Appends rows to `progress.jsonl` and `progress.csv`.

    Args:
        folder: Where they are.
        done: Environment steps at which the training goes on: rows of later ones, which a run that was cut
            off had written, are removed.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._json, self._csv = folder / "progress.jsonl", folder / "progress.csv"
        kept = [row for row in read_log(self._json) if row[_STEPS] <= done]
        self._json.write_text("".join(_line(row) for row in kept), encoding="utf-8")
        with self._csv.open("w", encoding="utf-8"):
            pass
        for row in kept:
            self._append(row)

    def write(self, row: Row) -> None:
        """Append a row; NaN becomes an empty cell."""
        with self._json.open("a", encoding="utf-8") as file:
            file.write(_line(row))
        self._append(row)

    def _append(self, row: Row) -> None:
        is_new = not self._csv.exists() or not self._csv.stat().st_size
        with self._csv.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)


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
