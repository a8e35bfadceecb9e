"""What lies in a run's working folder may be anyone's: nothing outside of the results is touched for it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sb3port.commands.bulk.attempt_folder import RECORD, begin_anew, result_folder
from sb3port.commands.bulk.attempts import _CONTENT, _MARK, Attempts
from sb3port.commands.bulk.job import Item, Job, Task
from sb3port.commands.bulk.records import new_record
from sb3port.errors import UsageError


def left(out: Path, dest: Any) -> Path:
    """Leave an attempt as a killed run leaves it, with a place of the test's choice."""
    folder = out / ".bulk" / ("0" * 12) / "1"
    folder.mkdir(parents=True)
    (out / ".bulk" / _MARK).write_text(_CONTENT)
    task = Task(Item("m", "m", dest), 1, str(folder))
    record = {**new_record(task, Job()), "status": "done"}
    (folder / RECORD).write_text(json.dumps({"task": task.to_json(), "record": record}))
    return folder


def adopted(out: Path) -> list[str]:
    return [task.item.dest for task, _ in Attempts(out).left_over(lambda *_: False)]


def test_what_a_killed_run_left_is_adopted(tmp_path: Path) -> None:
    left(tmp_path / "out", "org/m")
    assert adopted(tmp_path / "out") == ["org/m"]


@pytest.mark.parametrize(
    "dest",
    ["../mine", "org/../../mine", "/mine", "", 7, "m\0", "\ud800", "m" * 300 + "/m", ".bulk/m"],
    ids=range(9),
)
def test_places_elsewhere_are_not(tmp_path: Path, dest: Any) -> None:
    left(tmp_path / "out", dest)
    assert adopted(tmp_path / "out") == []


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    left(tmp_path / "out", "org/m")
    (tmp_path / "out" / "org").symlink_to(tmp_path / "mine")
    assert adopted(tmp_path / "out") == []


FORGED: dict[str, Any] = {
    "no task": lambda kept: {**kept, "task": {"item": 1}},
    "a list": lambda kept: [kept],
    "another model": lambda kept: {**kept, "record": {**kept["record"], "model": "n"}},
    "another attempt": lambda kept: {**kept, "record": {**kept["record"], "attempt": 2}},
    "another place": lambda kept: {**kept, "record": {**kept["record"], "out": "n"}},
    "no number": lambda kept: {**kept, "record": {**kept["record"], "seconds": "1"}},
    "a line of less": lambda kept: {**kept, "record": {"schema": "sb3port.bulk", "version": 1}},
}


@pytest.mark.parametrize("name", FORGED)
def test_what_bulk_does_not_write_is_not(name: str, tmp_path: Path) -> None:
    folder = left(tmp_path / "out", "org/m")
    kept = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps(FORGED[name](kept)))
    assert adopted(tmp_path / "out") == []


def test_depths_and_pipes_are_no_records(tmp_path: Path) -> None:
    """Nobody writes to the pipe, and whoever opened it would wait for that."""
    folder = left(tmp_path / "out", "org/m")
    (folder / RECORD).write_text("[" * 100_000)
    assert adopted(tmp_path / "out") == []
    (folder / RECORD).unlink()
    os.mkfifo(folder / RECORD)
    assert adopted(tmp_path / "out") == []


def test_an_attempt_that_is_a_link_is_not_one_of_bulk(tmp_path: Path) -> None:
    """What is put in its place would be taken from where it leads."""
    folder = left(tmp_path / "out", "org/m")
    folder.rename(tmp_path / "mine")
    folder.symlink_to(tmp_path / "mine")
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


def test_a_result_that_is_a_link_is_not_put_in_its_place(tmp_path: Path) -> None:
    """It would bring a link to anywhere to where the user expects a port."""
    folder = left(tmp_path / "out", "org/m")
    content = json.loads((folder / RECORD).read_text())
    content["record"]["out"] = "org/m"
    (folder / RECORD).write_text(json.dumps(content))
    (tmp_path / "mine").mkdir()
    (folder / "result").mkdir()
    (folder / "result" / "m").symlink_to(tmp_path / "mine")
    assert adopted(tmp_path / "out") == []


def test_what_a_replaced_worker_has_begun_goes(tmp_path: Path) -> None:
    task = Attempts(tmp_path).task(Item("m", "m", "org/m"), 1)
    begin_anew(task)
    result_folder(task).mkdir()
    (result_folder(task) / "half").touch()
    begin_anew(task)
    assert not result_folder(task).exists()
    assert list(Path(task.folder).iterdir()) == [result_folder(task).parent]


def test_but_not_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (tmp_path / "out").mkdir()
    task = Attempts(tmp_path / "out").task(Item("m", "m", "org/m"), 1)
    result_folder(task).parent.symlink_to(tmp_path / "mine")
    with pytest.raises(UsageError, match="cannot be written"):
        begin_anew(task)
    assert (tmp_path / "mine" / "kept").exists()
