"""Commands that are killed, or find the disk full, before any of their changes of files."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.export import ExportOptions, export, repair
from sb3port.commands.policies import ReadOptions
from sb3port.commands.record import RecordOptions, record_chance
from sb3port.environments.recording import write_npz
from sb3port.files import staging
from tests.conftest import FIXTURES

from .file_operations import (
    CREATING,
    Child,
    PowerLoss,
    disk_full,
    folder_in_memory,
    in_child,
    killed,
    operations,
    points,
    tree,
)
from .hostile import unpack

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands run in forks of this process")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory, where there is such a thing: there `fsync` costs nothing."""
    with folder_in_memory() as folder:
        yield folder


def _convert(name: str, dest: Path, force: bool = False) -> None:
    convert(str(FIXTURES / name), dest, ConvertOptions(verify=False, force=force), lambda *_: None)


def _export(name: str, dest: Path, force: bool = False) -> None:
    """Export a port that is made beside, but for the first time."""
    port = dest.parents[1] / name
    if not port.exists():
        _convert(name, port)
    export(port, dest, ReadOptions(), ExportOptions(verify=False, force=force), lambda *_: None)


def _repair(name: str, dest: Path, force: bool = False) -> None:
    options = ExportOptions(verify=False, force=force)
    repair(str(FIXTURES / name), dest, ReadOptions(), options, lambda *_: None)


def _record(name: str, dest: Path, force: bool = False) -> None:
    write_npz(record_chance(RecordOptions(name.removeprefix("ppo-"), [0])), dest, force)


def _arrays(path: Path) -> dict[str, bytes]:
    """Give what is in a recording, whose bytes tell the time, too."""
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files}


def _exported(folder: Path) -> dict[str, Any]:
    """Give what is in an export, whose zip tells the time, too, once it is what its own note says."""
    note = json.loads((folder / "export.json").read_text())
    assert {file["name"] for file in note["files"]} == {p.name for p in folder.iterdir()} - {"export.json"}
    found: dict[str, Any] = {}
    for file in note["files"]:
        raw = (folder / file["name"]).read_bytes()
        assert hashlib.sha256(raw).hexdigest() == file["sha256"]
        found[file["name"]] = _unpacked(folder / file["name"]) if file["name"].endswith(".zip") else raw
    return found


def _unpacked(path: Path) -> dict[str, Any]:
    """Name what is in a zip, all of which can be read: SB3 and torch note times and places in its members."""
    members = unpack(path)
    return {"data": sorted(json.loads(members["data"])), "names": sorted(members)}


@dataclass(frozen=True)
class Command:
    """A command that writes to a place.

    Args:
        run: Given the name of a source, the place, and whether to replace what is there.
        look: Gives what is there, in a form that can be compared.
    """

    run: Callable[[str, Path, bool], None]
    look: Callable[[Path], Any] = tree


_COMMANDS = {
    "convert": Command(_convert),
    "export": Command(_export, _exported),
    "repair": Command(_repair, _exported),
    "record": Command(_record, _arrays),
}
_NEW, _OLD = "ppo-Pendulum-v1", "ppo-CartPole-v1"


class Scene:
    """A folder with a place to write to, and what is beside it and must stay.

    Args:
        place: Of the test.
        command: What writes there.
        replaces: Whether something is there before, which the command was told to replace.
    """

    def __init__(self, place: Path, command: Command, replaces: bool) -> None:
        self.command, self.replaces = command, replaces
        self.parent = place / "parent"
        self.dest = self.parent / "dest.npz"
        self.job = partial(command.run, _NEW, self.dest, replaces)
        self.new = self._made(_NEW)
        self.old = self._made(_OLD) if replaces else None
        self.kept = place / "kept"
        if replaces:
            shutil.move(self.dest, self.kept)

    def _made(self, name: str) -> Any:
        shutil.rmtree(self.parent, ignore_errors=True)
        self.command.run(name, self.dest, False)
        return self.command.look(self.dest)

    def reset(self) -> None:
        """Put everything back to where it was before the command."""
        shutil.rmtree(self.parent, ignore_errors=True)
        (self.parent / ".x-sb3port-theirs").mkdir(parents=True)
        (self.parent / ".x-sb3port-theirs" / "thesis.tex").write_text("years")
        (self.parent / "neighbour").write_text("of theirs")
        if self.kept.is_dir():
            shutil.copytree(self.kept, self.dest)
        elif self.replaces:
            shutil.copy(self.kept, self.dest)

    def found(self) -> Any:
        """Give what is there, None where nothing is."""
        return self.command.look(self.dest) if os.path.lexists(self.dest) else None

    def others(self) -> list[str]:
        """List what else is there."""
        assert (self.parent / ".x-sb3port-theirs" / "thesis.tex").read_text() == "years"
        assert (self.parent / "neighbour").read_text() == "of theirs"
        names = {path.name for path in self.parent.iterdir()}
        return sorted(names - {self.dest.name, "neighbour", ".x-sb3port-theirs"})

    def assert_whole(self, at: str) -> None:
        assert self.found() in (self.old, self.new), f"{at}: neither what was there nor what shall be"

    def assert_next_run_works(self, at: str) -> None:
        again = in_child(partial(self.command.run, _NEW, self.dest, os.path.lexists(self.dest)))
        assert again.code == 0, f"after {at}: {again.message}"
        assert self.found() == self.new
        assert self.others() == [], f"after {at}"


def _sampled(name: str, force: bool) -> Any:
    marks = [pytest.mark.thorough] if force else []
    return pytest.param((name, force), marks=marks, id=f"{name}-{'force' if force else 'new'}")


@pytest.fixture(params=[_sampled(name, force) for name in _COMMANDS for force in (False, True)])
def scene(request: pytest.FixtureRequest, place: Path) -> Scene:
    name, replaces = request.param
    scene = Scene(place, _COMMANDS[name], replaces)
    scene.reset()
    return scene


@pytest.mark.long
def test_killed_before_any_change(scene: Scene) -> None:
    changes = operations(scene.job, scene.parent)
    ends = set()
    for number in points(len(changes)):
        scene.reset()
        at = f"change {number}, {changes[number - 1]}"
        assert killed(scene.job, scene.parent, number).code == -9, at
        scene.assert_whole(at)
        ends.add(scene.found() == scene.new)
        scene.assert_next_run_works(at)
    assert ends == {False, True}


@pytest.mark.long
def test_no_room_at_any_change(scene: Scene) -> None:
    changes = operations(scene.job, scene.parent)
    numbers = [number for number, change in enumerate(changes, 1) if change.split()[0] in CREATING]
    for number in numbers:
        scene.reset()
        ended = disk_full(scene.job, scene.parent, number)
        at = f"change {number}, {changes[number - 1]}: {ended.message}"
        assert ended.code == 2, at
        assert "No space left on device" in ended.message, at
        assert "\n" not in ended.message
        assert scene.found() == scene.old, at
        assert scene.others() == [], at


@pytest.mark.long
@pytest.mark.parametrize("room", [0, 100, 2000, 5000])
def test_files_that_cannot_grow(room: int, scene: Scene) -> None:
    """The system's own limit on the size of files, where a write fails in the middle."""
    import resource

    ended = in_child(scene.job, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
    assert (ended.code, "File too large" in ended.message) == (2, True), ended.message
    assert scene.found() == scene.old
    assert scene.others() == []


def _flushed(job: Callable[[], Any]) -> list[str]:
    """Run a job, and list what it would have lost if the power had been cut behind it."""
    disk = PowerLoss()
    ended = in_child(lambda: (job(), disk.left())[1], disk.install)
    assert ended.code == 0, ended.message
    return ended.message.splitlines()


def test_nothing_is_lost_with_the_power(scene: Scene) -> None:
    assert _flushed(scene.job) == []


def test_what_is_not_flushed_is_noticed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(place, _COMMANDS["convert"], replaces=False)
    scene.reset()
    monkeypatch.setattr(staging, "flush", lambda _: None)
    lost = _flushed(scene.job)
    assert any(line.endswith("model.safetensors") for line in lost)
    scene.reset()
    monkeypatch.undo()
    monkeypatch.setattr(staging, "flush_names", lambda _: None)
    assert _flushed(scene.job) == [f"the name {scene.dest}"]


class _Meeting:
    """Where two processes wait until the other is there, too."""

    def __init__(self) -> None:
        self._arrived, self._go = os.pipe(), os.pipe()

    def attend(self) -> None:
        os.write(self._arrived[1], b".")
        os.read(self._go[0], 1)

    def hold(self) -> None:
        """Wait for both, and let them go on."""
        seen = 0
        while seen < 2:
            seen += len(os.read(self._arrived[0], 2 - seen))
        os.write(self._go[1], b"..")


def _meet_and_convert(name: str, dest: Path, force: bool, meeting: _Meeting) -> None:
    def announce(stage: str, _: str) -> None:
        if stage == "write":  # in the staging folder
            meeting.attend()

    convert(str(FIXTURES / name), dest, ConvertOptions(verify=False, force=force), announce)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_two_processes_at_one_place(force: bool, there: bool, place: Path) -> None:
    """One of them wins; without --force the other is told in one sentence that something appeared there."""
    if there and not force:
        pytest.skip("both are refused at once")
    dest, wholes = place / "parent" / "dest", []
    for name in (_OLD, _NEW):
        _convert(name, place / name)
        wholes.append(tree(place / name))
    if there:
        _convert("ppo-Pendulum-v1-half", dest)
    meeting = _Meeting()
    children = [Child(partial(_meet_and_convert, name, dest, force, meeting)) for name in (_OLD, _NEW)]
    meeting.hold()
    ended = sorted((child.wait() for child in children), key=lambda one: one.code)
    assert [one.code for one in ended] == ([0, 0] if force else [0, 2]), ended
    assert force or ended[1].message == f"{dest} exists: it appeared while sb3port worked"
    assert tree(dest) in wholes
    assert [path.name for path in dest.parent.iterdir()] == ["dest"]
