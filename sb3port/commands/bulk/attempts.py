"""The folders in which attempts are made, and how results get from there to their places.

They lie in `.bulk`, in the folder of all results: one for this process, and in it one for each attempt. What
a process has left there that was killed is put in its place if it was done, and else removed; nothing is
removed but what is in a folder that has our mark.
"""

import filecmp
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from sb3port.commands.bulk.attempt_folder import has_result, read_kept, remove, result_folder
from sb3port.commands.bulk.job import Item, Task
from sb3port.commands.bulk.records import Reason, Record, failed
from sb3port.errors import UsageError
from sb3port.files.renaming import rename_new
from sb3port.files.staging import PORT, Kind, flush_names, replace_folder

_FOLDER, _MARK = ".bulk", "sb3port-bulk.json"
_OURS, _ATTEMPT = re.compile(r"[0-9a-f]{12}"), re.compile(r"\d{1,18}")
_CONTENT = json.dumps({"what": "folders in which sb3port bulk works; they may be removed when it does not"})


class Attempts:
    """The folders of this process's attempts.

    Args:
        out: The folder of all results.
        kind: What results are, for no other folder is replaced by one.

    Raises:
        UsageError: It cannot be written, or something else has the name of ours.
    """

    def __init__(self, out: Path, kind: Kind = PORT) -> None:
        self._out, self._kind = out.absolute(), kind
        self._all = self._out / _FOLDER
        self._number = 0
        try:
            self._mark()
            self._mine = self._all / secrets.token_hex(6)
            self._mine.mkdir()
        except OSError as error:
            raise UsageError(f"{self._all} cannot be written: {error.strerror or error}") from error

    def _mark(self) -> None:
        if self._all.is_symlink() or (
            self._all.exists() and any(self._all.iterdir()) and not self._is_ours()
        ):
            raise UsageError(f"{self._all} is not a folder that sb3port made", "move it away")
        self._all.mkdir(exist_ok=True)
        (self._all / _MARK).write_text(_CONTENT, encoding="ascii")

    def _is_ours(self) -> bool:
        """Whether it says what it is: a file of that name alone may be anybody's."""
        mark = self._all / _MARK
        try:
            if mark.is_symlink() or not mark.is_file() or mark.stat().st_size > len(_CONTENT):
                return False
            said = mark.read_text(encoding="ascii")
            # Who was killed while writing it has made nothing else yet.
            alone = [path.name for path in self._all.iterdir()] == [_MARK]
            return said == _CONTENT or (alone and _CONTENT.startswith(said))
        except (OSError, ValueError):
            return False

    def task(self, item: Item, attempt: int) -> Task:
        """Give a new attempt, and make its folder."""
        self._number += 1
        folder = self._mine / str(self._number)
        folder.mkdir()
        return Task(item, attempt, str(folder))

    def left_over(self, known: Callable[[str, int], bool]) -> Iterator[tuple[Task, Record]]:
        """Give what others have done before they were killed, and nobody has noted.

        Args:
            known: Whether an attempt at a model is in the ledger.
        """
        for folder in sorted(self._others()):
            if (kept := read_kept(folder)) is None:
                continue
            task, record = kept
            if not self._is_below(task.item.dest) or known(record["model"], record["attempt"]):
                continue
            there = has_result(task) or (self._out / task.item.dest).is_dir()
            if record["out"] is None or there:
                yield task, record

    def _is_below(self, dest: str) -> bool:
        """Whether a place is below the folder of all results also where there are links on the way."""
        try:
            os.lstat(self._out / dest)
        except FileNotFoundError:
            pass
        except OSError:  # a name that is too long, for one
            return False
        return (self._out / dest).parent.resolve().is_relative_to(self._out.resolve())

    def _others(self) -> Iterator[Path]:
        """Give the folders of the attempts of others."""
        for folder in self._folders():
            if folder != self._mine:
                found = (path for path in folder.iterdir() if _ATTEMPT.fullmatch(path.name))
                yield from (path for path in found if path.is_dir() and not path.is_symlink())

    def _folders(self) -> list[Path]:
        found = [path for path in self._all.iterdir() if _OURS.fullmatch(path.name)]
        return [path for path in found if path.is_dir() and not path.is_symlink()]

    def place(self, task: Task, record: Record, replace: bool) -> Record:
        """Put a result in its place, and give the record, which says so if that was not possible.

        Args:
            task: Of whose attempt it is.
            record: What came of it.
            replace: Whether what is there is of an earlier attempt.
        """
        made, dest = result_folder(task), self._out / task.item.dest
        if record["out"] is None or not has_result(task):  # nothing was made, or it is there already
            return record
        try:
            dest.parent.mkdir(parents=True, exist_ok=True)
            if replace and dest.is_dir() and not dest.is_symlink():
                replace_folder(made, dest, self._kind)
            else:
                rename_new(made, dest)
        except UsageError as error:  # what is there was put there by somebody else
            sentence = error.message.replace("--force", "--retry")
            return failed({**record, "out": None}, Reason.NEEDS_OPTION, sentence, _CHOOSE, "place")
        except FileExistsError:
            if _is_same(made, dest):  # whoever wrote it, and lost the note of it
                return record
            taken = failed({**record, "out": None}, Reason.NEEDS_OPTION, f"{dest} exists", _CHOOSE, "place")
        except OSError as error:
            sentence = f"{dest} cannot be written: {error.strerror or error}"
            taken = failed({**record, "out": None}, Reason.NEEDS_OPTION, sentence, _CHOOSE, "place")
        else:
            return record
        return taken

    def flush(self, tasks: Sequence[Task]) -> None:
        """Bring the names of what was put in its place to the disk."""
        for folder in {(self._out / task.item.dest).parent for task in tasks}:
            flush_names(folder)

    def done(self, task: Task) -> None:
        """Remove the folder of an attempt."""
        remove(task)

    def clean(self) -> None:
        """Remove what is left of this process and of others."""
        for folder in self._folders():
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            (self._all / _MARK).unlink()
            self._all.rmdir()

    def clean_others(self) -> None:
        """Remove what others have left."""
        for folder in self._folders():
            if folder != self._mine:
                shutil.rmtree(folder, ignore_errors=True)


def _is_same(made: Path, there: Path) -> bool:
    """Whether two folders hold the same, to the byte."""
    if there.is_symlink() or not there.is_dir():
        return False
    compared = filecmp.dircmp(made, there, ignore=[])
    if compared.left_only or compared.right_only or compared.common_funny:
        return False
    files = compared.common_files
    same = filecmp.cmpfiles(made, there, files, shallow=False)[0]
    return len(same) == len(files) and all(_is_same(made / n, there / n) for n in compared.common_dirs)


_CHOOSE = "move it away, or choose another folder with --out"
