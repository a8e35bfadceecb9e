"""What Linux has and Windows or macOS has not: nothing that is needed depends on it."""

import multiprocessing
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from sb3port.errors import UsageError
from sb3port.files.staging import link_target, put_link
from sb3port.ppo.runs.checkpoints import LAST, PORT, STATE, find_checkpoint, pointed

from .conftest import PENDULUM

# A Python whose system has no forks, limits, polls or links, nor calls that exchange two names.
OTHER_SYSTEM = """
import ctypes, importlib.abc, os, select, signal, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("resource", "fcntl", "grp", "pwd", "termios", "pty", "syslog"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

class Library(ctypes.CDLL):
    def __init__(self, name, *arguments, **more):
        if name is None:
            raise TypeError("argument of type 'NoneType' is not iterable")
        super().__init__(name, *arguments, **more)

def no_links(*arguments, **more):
    raise OSError(1314, "A required privilege is not held by the client")

assert not {"resource", "fcntl"} & set(sys.modules)
sys.meta_path.insert(0, Absent())
ctypes.CDLL, os.symlink = Library, no_links
for module, names in (
    (os, "fork O_NONBLOCK O_NOCTTY O_PATH O_CLOEXEC getuid geteuid WIFSIGNALED"),
    (select, "poll"),
    (signal, "SIGKILL SIGXCPU SIGSYS SIGHUP SIGALRM"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

from sb3port.__main__ import main

for words in sys.argv[1].splitlines():
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
"""


def test_what_reads_and_writes_runs_on_any_system(tmp_path: Path) -> None:
    commands = [
        f"inspect {PENDULUM} --json",
        f"convert {PENDULUM} port --no-verify",
        f"convert {PENDULUM} port --no-verify --force",
        f"diff {PENDULUM} port",
        "export port made --to numpy --no-verify",
    ]
    done = subprocess.run(
        [sys.executable, "-c", OTHER_SYSTEM, "\n".join(commands)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "port" / "model.safetensors").is_file()
    assert not list(tmp_path.glob(".*"))  # nothing is left of what was replaced


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)


@pytest.mark.usefixtures("no_links")
def test_the_last_checkpoint_is_found_without_links(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    for name in ("000010", "000020"):
        for part in (PORT, STATE):
            (checkpoints / name / part).mkdir(parents=True)
        put_link(checkpoints / LAST, name)
        assert pointed(checkpoints, LAST) == checkpoints / name
    assert (checkpoints / LAST).read_text() == "points to 000020\n"
    assert find_checkpoint(tmp_path) == (checkpoints / "000020").resolve()


@pytest.mark.usefixtures("no_links")
@pytest.mark.parametrize("text", ["mine", "points to ../..", "points to a/b", "points to ", "\0"])
def test_no_other_file_is_taken_for_a_link(tmp_path: Path, text: str) -> None:
    (tmp_path / "last").write_text(text)
    assert link_target(tmp_path / "last") is None
    with pytest.raises(UsageError, match="is not a link"):
        put_link(tmp_path / "last", "one")
    assert (tmp_path / "last").read_text() == text


@pytest.mark.long
def test_environments_run_in_processes_that_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from sb3port.ppo.rollout.environments import InProcess
    from sb3port.ppo.rollout.subprocesses import Subprocesses

    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    make = partial(gymnasium.make, "Pendulum-v1")
    apart, here = Subprocesses(make, 2), InProcess(make, 2)
    try:
        actions = np.zeros((2, 1), np.float32)
        np.testing.assert_equal(apart.reset(3), here.reset(3))
        np.testing.assert_equal(apart.step(actions).observations, here.step(actions).observations)
    finally:
        apart.close()
        here.close()
