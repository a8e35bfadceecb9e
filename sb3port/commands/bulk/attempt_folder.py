"""What lies in the folder of one attempt.

`result/` holds the folder that is to be put in its place, under the name that it will have; `record.json`
comes after it, when all is done.
"""

import shutil
from pathlib import Path, PurePosixPath

from sb3port.commands.bulk.job import Task, task_of
from sb3port.commands.bulk.line_schema import LONGEST, check_kept, parse_line
from sb3port.commands.bulk.records import Record
from sb3port.errors import Sb3portError, UsageError
from sb3port.files.budget import budget
from sb3port.files.texts.json_text import json_text
from sb3port.files.untrusted import read_untrusted

RECORD = "record.json"
_RESULT = "result"


def result_folder(task: Task) -> Path:
    """Give the folder in which the result of a task lies until it is put in its place."""
    return Path(task.folder) / _RESULT / PurePosixPath(task.item.dest).name


def has_result(task: Task) -> bool:
    """Whether a folder is there to be put in its place; a link to one is not."""
    made = result_folder(task)
    return made.is_dir() and not made.is_symlink() and not made.parent.is_symlink()


def begin_anew(task: Task) -> None:
    """Remove what a worker that was replaced has begun, and make the folder in which the result will lie.

    What goes is within the folder of the attempt, which was made for it under a new name: nobody else's.

    Raises:
        UsageError: It cannot be written.
    """
    begun = result_folder(task).parent
    try:
        if begun.is_dir() and not begun.is_symlink():
            shutil.rmtree(begun)
        begun.mkdir()
    except OSError as error:
        raise UsageError(f"{begun} cannot be written: {error.strerror or error}") from error


def keep_record(task: Task, record: Record) -> None:
    """Write a record to where it is found if nobody hears of it otherwise.

    It and the result are brought to the disk together with others, before the result is put in its place.
    """
    # One that is not whole is no JSON, and nobody takes it for a record.
    text = json_text({"task": task.to_json(), "record": record}).text
    Path(task.folder, RECORD).write_text(text, encoding="ascii")


def read_kept(folder: Path) -> tuple[Task, Record] | None:
    """Read what `keep_record` has written, None where it is not whole, or nothing that it writes.

    Args:
        folder: The folder of an attempt, wherever it was when the attempt was made.
    """
    try:
        with budget(1.0):
            raw = read_untrusted(folder / RECORD, within=folder, at_most=LONGEST)
        kept = parse_line(raw, RECORD)
        check_kept(kept)
    except (Sb3portError, ValueError):
        return None
    return task_of({**kept["task"], "folder": str(folder)}), kept["record"]


def remove(task: Task) -> None:
    """Remove the folder of an attempt."""
    shutil.rmtree(task.folder, ignore_errors=True)
