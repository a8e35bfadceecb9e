"""`sb3port scan` of repositories on the Hub: what anybody would unpickle of them is fetched, and scanned."""

import shutil
from pathlib import Path

import pytest

from sb3port.errors import SourceUnreachable, UsageError
from sb3port.scanning.findings import Verdict
from sb3port.scanning.scan import scan, targets

from .state import LoopbackHub

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub"
REPO = "sb3port/ppo-Pendulum-v1"
EVIL = b"cposix\nsystem\n(X\x04\x00\x00\x00truetR."


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = Path(shutil.copytree(FIXTURES, tmp_path / "repos"))
    folder = root / REPO
    (folder / "buffers").mkdir()
    (folder / "buffers" / "replay_buffer.pkl").write_bytes(EVIL)
    (folder / "model").write_bytes((folder / "ppo-Pendulum-v1.zip").read_bytes())  # without its suffix
    (folder / "notes.md").write_text("nothing")
    return root


def test_a_repository_is_scanned(hub: LoopbackHub) -> None:
    found = {file.path.removeprefix(f"{REPO}/"): file.verdict for file in scan(targets(REPO))}
    assert found["buffers/replay_buffer.pkl"] is Verdict.DANGEROUS
    assert found["ppo-Pendulum-v1.zip"] is found["model"] is found["vec_normalize.pkl"] is Verdict.CLEAN
    assert {"config.yml", "args.yml"} <= set(found)
    assert "notes.md" not in found
    asked = {request.path.rpartition("/")[2] for request in hub.requests if "/resolve/" in request.path}
    assert "notes.md" not in asked


def test_one_file_or_one_revision(hub: LoopbackHub) -> None:
    (file,) = scan(targets(f"hf://{REPO}/vec_normalize.pkl"))
    assert (file.path, file.verdict) == (f"{REPO}/vec_normalize.pkl", Verdict.CLEAN)
    first = hub.commit(REPO)
    hub.repos[REPO].commit({"vec_normalize.pkl": EVIL}, "main")
    assert {file.verdict for file in scan(targets(REPO))} == {Verdict.DANGEROUS}
    old = {Path(file.path).name: file.verdict for file in scan(targets(f"{REPO}@{first}"))}
    assert old["vec_normalize.pkl"] is Verdict.CLEAN


def test_what_is_not_there(hub: LoopbackHub) -> None:
    with pytest.raises(SourceUnreachable):
        list(targets("nobody/nothing"))
    with pytest.raises(UsageError):
        list(targets("no/such/path.zip"))
