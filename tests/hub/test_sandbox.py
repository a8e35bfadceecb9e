"""Files of the Hub are read in a process with limits, unless the user says no; others if the user says so."""

import os
import shutil
from pathlib import Path

import pytest

import sb3port
from sb3port.commands.policies import ReadOptions, read_policy
from sb3port.errors import UsageError
from sb3port.files.limited_process import can_limit
from tests.ports import port_of

from .state import LoopbackHub

pytestmark = pytest.mark.skipif(not can_limit(), reason="the sandbox is for Linux")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub"
REPO = "sb3port/ppo-Pendulum-v1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES, tmp_path / "repos"))


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was forked."""
    started: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: started.append(fork()) or started[-1])
    return started


@pytest.mark.parametrize(("sandbox", "count"), [(None, 1), (True, 1), (False, 0)])
def test_files_of_the_hub(sandbox: bool | None, count: int, hub: LoopbackHub, forks: list[int]) -> None:
    """The files in the cache are links, behind which they lie elsewhere."""
    checkpoint = read_policy(REPO, ReadOptions(sandbox=sandbox))
    assert checkpoint.normalizer is not None
    assert checkpoint.provenance.revision == hub.commit(REPO)
    assert len(forks) == count


@pytest.mark.parametrize(("sandbox", "count"), [(None, 0), (True, 1), (False, 0)])
def test_files_of_this_machine(
    sandbox: bool | None, count: int, pendulum: Path, tmp_path: Path, forks: list[int]
) -> None:
    sb3port.convert(pendulum, tmp_path / "port", verify=False, sandbox=sandbox)
    sb3port.load_policy(pendulum, "numpy", sandbox=sandbox)
    assert len(forks) == 2 * count


def test_a_port_has_no_pickles(pendulum: Path, tmp_path: Path) -> None:
    port_of(pendulum, tmp_path / "port", verify=False)
    with pytest.raises(UsageError, match="is a port, and --sandbox is for the pickles of a source"):
        read_policy(str(tmp_path / "port"), ReadOptions(sandbox=True))
