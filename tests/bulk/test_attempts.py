"""What lies in a run's working folder may be anyone's: nothing outside of the results is touched for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sb3port.commands.bulk.attempts import _CONTENT, _MARK, Attempts
from sb3port.commands.bulk.records import SCHEMA, VERSION
from sb3port.commands.bulk.work import RECORD
from sb3port.errors import UsageError


def left(out: Path, dest: Any) -> Path:
    """Leave an attempt as a killed run leaves it, with a place of the test's choice."""
    folder = out / ".bulk" / ("0" * 12) / "1"
    folder.mkdir(parents=True)
    (out / ".bulk" / _MARK).write_text(_CONTENT)
    record = {"schema": SCHEMA, "version": VERSION, "model": "m", "attempt": 1, "status": "done", "out": None}
    item = {"name": "m", "source": "m", "dest": dest}
    task = {"item": item, "attempt": 1, "folder": str(folder)}
    (folder / RECORD).write_text(json.dumps({"task": task, "record": record}))
    return folder


def adopted(out: Path) -> list[str]:
    return [task.item.dest for task, _ in Attempts(out).left_over(lambda *_: False)]


def test_what_a_killed_run_left_is_adopted(tmp_path: Path) -> None:
    left(tmp_path / "out", "org/m")
    assert adopted(tmp_path / "out") == ["org/m"]


@pytest.mark.parametrize("dest", ["../mine", "org/../../mine", "/mine", "", 7], ids=range(5))
def test_places_elsewhere_are_not(tmp_path: Path, dest: Any) -> None:
    left(tmp_path / "out", dest)
    assert adopted(tmp_path / "out") == []


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    left(tmp_path / "out", "org/m")
    (tmp_path / "out" / "org").symlink_to(tmp_path / "mine")
    assert adopted(tmp_path / "out") == []


def test_what_is_no_task_is_not(tmp_path: Path) -> None:
    folder = left(tmp_path / "out", "org/m")
    content = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps({**content, "task": {"item": 1}}))
    assert adopted(tmp_path / "out") == []


@pytest.mark.parametrize("mark", ["{}", "", _CONTENT + "x", "mine"], ids=range(4))
def test_a_folder_of_that_name_that_is_somebody_else_s(tmp_path: Path, mark: str) -> None:
    """That the mark has its name is not enough: what it says counts."""
    left(tmp_path, "org/m")
    (tmp_path / ".bulk" / _MARK).write_text(mark)
    with pytest.raises(UsageError, match="is not a folder that sb3port made"):
        Attempts(tmp_path)
    assert (tmp_path / ".bulk" / ("0" * 12)).is_dir()


def test_who_was_killed_while_writing_the_mark(tmp_path: Path) -> None:
    (tmp_path / ".bulk").mkdir()
    (tmp_path / ".bulk" / _MARK).write_text(_CONTENT[:10])
    Attempts(tmp_path).clean()
    assert list(tmp_path.iterdir()) == []
