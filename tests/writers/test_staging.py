"""Folders that appear whole or not at all, whatever interrupts them and when."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sb3port.errors import UsageError
from sb3port.files import renaming
from sb3port.files import staging as room
from sb3port.files.staging import put_link, staged_file, staged_folder


def fill(folder: Path, content: str) -> None:
    (folder / "sb3port.json").write_text(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["by the system", "portable"])
def _renames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rename by the system's calls, and as where there are none."""
    if request.param == "portable":
        monkeypatch.setattr(renaming, "_system_call", lambda: None)


@pytest.mark.parametrize("interruption", [SystemExit, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("rename", [1, 2])
def test_the_old_folder_survives_an_interrupted_replacement(
    interruption: type[BaseException], rename: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot exchange two folders, one is renamed after the other."""
    monkeypatch.setattr(renaming, "_system_call", lambda: None)
    dest = tmp_path / "port"
    dest.mkdir()
    fill(dest, "old")
    real, calls = Path.rename, []

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == rename:
            raise interruption
        return real(self, target)

    def replace() -> None:
        with staged_folder(dest, force=True) as staging:
            fill(staging, "new")
            monkeypatch.setattr(Path, "rename", interrupted)

    with pytest.raises(interruption):
        replace()
    monkeypatch.undo()
    assert (dest / "sb3port.json").read_text() == "old"
    assert names(tmp_path) == ["port"]


@pytest.mark.usefixtures("_renames")
def test_replacement(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with staged_folder(tmp_path / "port", force=True) as staging:
            fill(staging, content)
    assert (tmp_path / "port" / "sb3port.json").read_text() == "new"
    assert names(tmp_path) == ["port"]


def test_parents_that_were_made_in_vain_are_removed(tmp_path: Path) -> None:
    def fail() -> None:
        with staged_folder(tmp_path / "a" / "b" / "port") as staging:
            fill(staging, "never")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == []
    with staged_folder(tmp_path / "a" / "b" / "port") as staging:
        fill(staging, "there")
    assert (tmp_path / "a" / "b" / "port" / "sb3port.json").is_file()


@pytest.mark.usefixtures("_renames")
@pytest.mark.parametrize("force", [False, True])
def test_what_appears_meanwhile_is_kept(tmp_path: Path, force: bool) -> None:
    dest = tmp_path / "port"

    def write() -> None:
        with staged_folder(dest, force=force) as staging:
            fill(staging, "ours")
            dest.mkdir()
            (dest / "precious").write_text("theirs")

    with pytest.raises(UsageError, match=r"port (exists|is not a port)"):
        write()
    assert (dest / "precious").read_text() == "theirs"
    assert names(tmp_path) == ["port"]


@pytest.mark.usefixtures("_renames")
def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    dest = tmp_path / "a.npz"

    def write() -> None:
        with staged_file(dest) as path:
            path.write_text("ours")
            dest.write_text("theirs")

    with pytest.raises(UsageError, match="appeared while"):
        write()
    assert dest.read_text() == "theirs"
    assert names(tmp_path) == ["a.npz"]


KILLED = """
import os, signal, sys
from pathlib import Path
from sb3port.files.staging import staged_folder
with staged_folder(Path(sys.argv[1])) as staging:
    (staging / "half").write_text("written")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "port"], check=False)
    (left_over,) = names(tmp_path)
    assert left_over.startswith(".port-sb3port-")
    for name in (".git", ".ssh", ".port-sb3port-theirs", ".port-old-x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text("all my work")
    (tmp_path / ".port-sb3port-linked").symlink_to(tmp_path / ".git")
    kept = {*names(tmp_path)} - {left_over}
    with staged_folder(tmp_path / "other") as staging:
        fill(staging, "new")
    assert {*names(tmp_path)} == {*kept, "other"}


@pytest.mark.parametrize("theirs", ["folder", "link", "file", "export"])
def test_what_was_exchanged_and_not_looked_at_is_kept(tmp_path: Path, theirs: str) -> None:
    """A process that is killed between the two has taken something that nobody has called replaceable."""
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "port"], check=False)
    (left_over,) = names(tmp_path)
    taken = tmp_path / left_over / "replaced"
    shutil.rmtree(tmp_path / left_over / "content")  # which has the place by then
    if theirs == "link":
        taken.symlink_to(tmp_path)
    elif theirs == "file":  # which a port does not take the place of
        taken.write_text("all my work")
    elif theirs == "export":
        taken.mkdir()
        (taken / "export.json").write_text("{}")
    else:
        taken.mkdir()
        (taken / "precious").write_text("all my work")
    with staged_folder(tmp_path / "other") as staging:
        fill(staging, "new")
    assert os.path.lexists(taken)
    assert names(tmp_path) == [left_over, "other"]


def test_a_folder_that_its_process_begins_to_fill_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process that is not seen from here, it was empty when it was looked at."""
    begun = tmp_path / ".port-sb3port-999999999-x"
    begun.mkdir()
    looked = room._is_unborn

    def look(folder: Path) -> bool:
        is_unborn = looked(folder)
        (folder / "content").mkdir()
        return is_unborn

    monkeypatch.setattr(room, "_is_unborn", look)
    room.sweep(tmp_path)
    assert (begun / "content").is_dir()


def test_staging_folders_of_running_processes_and_other_machines_stay(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "port") as staging:
        owner = json.loads((staging.parent / "sb3port-staging.json").read_text())
        assert owner["pid"] == os.getpid()
        foreign = tmp_path / ".port-sb3port-foreign"
        foreign.mkdir()
        foreign_owner = {**owner, "host": "another", "started": "once"}
        (foreign / "sb3port-staging.json").write_text(json.dumps(foreign_owner))
        with staged_folder(tmp_path / "other") as other:
            fill(other, "other")
        fill(staging, "ours")
    assert names(tmp_path) == [foreign.name, "other", "port"]


def test_a_link_replaces_links_only(tmp_path: Path) -> None:
    for target in ("one", "two"):
        put_link(tmp_path / "last", target)
        assert (tmp_path / "last").readlink() == Path(target)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="not a link"):
        put_link(tmp_path / "mine", "one")
    assert names(tmp_path) == ["last", "mine"]


def test_only_staging_removes_anything() -> None:
    """Whoever deletes must have made it; there is one place for that."""
    package = Path(renaming.__file__).parents[1]
    words = ("rmtree", "unlink(", "os.remove", "removedirs")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(word in path.read_text() for word in words)
    }
    # What bulk runs remove lies in a folder with their own mark.
    of_bulk = {"commands/bulk/attempts.py", "commands/bulk/attempt_folder.py"}
    assert found == {"files/staging.py", *of_bulk}
