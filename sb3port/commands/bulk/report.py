"""What is left beside the results of a bulk run: an index to look at, a table, and a file for CI."""

from pathlib import Path

from sb3port.commands.bulk.ledger import latest, read_ledger
from sb3port.commands.bulk.placing import INDEX, JUNIT, LEDGER, TABLE
from sb3port.files.staging import staged_file
from sb3port.files.texts.media import Medium
from sb3port.reports.bulk.csv_table import render_csv
from sb3port.reports.bulk.index import render_index
from sb3port.reports.bulk.junit import render_bulk_junit


def write_report(out: Path) -> list[Path]:
    """Write the index, the table and the JUnit file of a folder from its ledger, in place of earlier ones.

    Args:
        out: The folder of all results.

    Returns:
        Their paths.
    """
    records = sorted(latest(read_ledger(out / LEDGER)).values(), key=lambda record: str(record["model"]))
    made = {INDEX: render_index(records), TABLE: render_csv(records), JUNIT: render_bulk_junit(records)}
    return [_write(out / name, content) for name, content in made.items()]


def _write(path: Path, content: Medium) -> Path:
    with staged_file(path, force=True) as staging:
        staging.write_text(content.text, encoding="utf-8", newline="\n")
    return path
