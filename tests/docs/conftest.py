"""A folder with what the commands of the pages name."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, run
from tests.hub.loopback import serve


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The fixtures, also under names of the pages; the Hub is a loopback one that has a zoo model's name."""
    folder = tmp_path_factory.mktemp("pages")
    fixture = Path(shutil.copytree(ROOT / "fixtures", folder / "fixtures")) / "hub/sb3port/ppo-Pendulum-v1"
    shutil.copytree(fixture, folder / "hub/sb3/ppo-Pendulum-v1")
    for name in ("model.zip", "a-strangers.zip"):
        shutil.copy(fixture / "ppo-Pendulum-v1.zip", folder / name)
    shutil.copy(fixture / "vec_normalize.pkl", folder)
    shutil.copy(ROOT / "docs" / "dynamics.py", folder)
    shutil.copy(fixture / "reference.npz", folder / "mine.npz")
    with serve(folder / "hub") as hub:
        (folder / "endpoint").write_text(hub.endpoint)
        (folder / "token").write_text(hub.token)
        yield folder


@pytest.fixture
def with_port(sandbox: Path) -> Path:
    """The folder, in which the port is that most commands name, whichever test comes first."""
    if not (sandbox / "ports" / "ppo-Pendulum-v1").exists():
        assert run("sb3port convert sb3/ppo-Pendulum-v1 --no-verify", sandbox).returncode == 0
    return sandbox
