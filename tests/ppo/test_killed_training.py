"""A training that is killed before any change of files: its checkpoints are whole, and its end the same."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train
from tests.security.file_operations import (
    CREATING,
    PowerLoss,
    Tree,
    disk_full,
    folder_in_memory,
    in_child,
    killed,
    operations,
    points,
    tree,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="trainings run in forks of this process"),
]
_TINY = {"n_steps": 20, "batch_size": 20, "n_epochs": 1}
_OPTIONS = RunOptions(
    "CartPole-v1", _TINY, steps=60, n_envs=1, save_every=20, run={"eval_episodes": 1, "seed": 5}
)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """A training that nothing disturbed, in a fork as all of them are."""
    _done(partial(_begin, place / "whole"))
    return place / "whole"


def _begin(out: Path) -> None:
    train(
        begin_training(_OPTIONS, PolicyOptions(policy_kwargs="dict(net_arch=[4])"), _say),
        None,
        out,
        Watcher(),
    )


def _resume(out: Path) -> None:
    train(*resume(out, _say), Watcher())


def _say(_: str) -> None:
    """Say nothing."""


def _done(job: partial[None]) -> None:
    ended = in_child(job)
    assert ended.code == 0, ended.message


def _checkpoints(out: Path) -> Tree:
    return tree(out / "checkpoints") if (out / "checkpoints").exists() else {}


def _assert_whole(cut: Path, whole: Path, at: str) -> bool:
    """Compare every checkpoint that is there; whether there is a last one."""
    folder, expected = cut / "checkpoints", _checkpoints(whole)
    visible = {name: found for name, found in _checkpoints(cut).items() if not name.startswith(".")}
    for name, found in visible.items():
        if name not in ("last", "best"):
            assert found == expected[name], f"{at}: {name}"
    steps = {name.partition("/")[0] for name in visible}
    for step in steps - {"last", "best"}:
        assert {name for name in visible if name.startswith(step)} == {
            n for n in expected if n.startswith(step)
        }
    for link in steps & {"last", "best"}:
        read_port(folder / link / "pretrained_model")
    return "last" in steps


def test_killed_before_any_change(place: Path, whole: Path) -> None:
    out = place / "cut"
    begin = partial(_begin, out)
    changes = operations(begin, out)
    resumed = 0
    for number in points(len(changes), each=8, between=14):
        shutil.rmtree(out, ignore_errors=True)
        at = f"change {number}, {changes[number - 1]}"
        assert killed(begin, out, number).code == -9, at
        has_last = _assert_whole(out, whole, at)
        _done(partial(_resume, out) if has_last else begin)
        resumed += has_last
        assert _checkpoints(out) == _checkpoints(whole), at
    assert resumed > 5


def test_no_room_at_any_change(place: Path, whole: Path) -> None:
    """The command line says so in one sentence; what was saved before is kept."""
    out = place / "full"
    begin = partial(_begin, out)
    changes = operations(begin, out)
    numbers = [number for number, change in enumerate(changes, 1) if change.split()[0] in CREATING]
    for number in [numbers[index - 1] for index in points(len(numbers), each=4, between=6)]:
        shutil.rmtree(out, ignore_errors=True)
        at = f"change {number}, {changes[number - 1]}"
        ended = disk_full(begin, out, number)
        assert (ended.code, "No space left on device" in ended.message) == (2, True), f"{at}: {ended}"
        _assert_whole(out, whole, at)
        assert not [name for name in _checkpoints(out) if name.startswith(".")], at


def test_nothing_is_lost_with_the_power(place: Path) -> None:
    disk, out = PowerLoss(), place / "flushed"
    ended = in_child(lambda: (_begin(out), disk.left())[1], disk.install)
    assert (ended.code, ended.message) == (0, "")
