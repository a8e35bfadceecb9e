"""`sb3port scan`: verdicts, exit codes and forms of the result, and what a scan costs."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.save_util import save_to_pkl

from sb3port.readers.formats.records import Global
from sb3port.scanning.findings import ScannedFile, Verdict, exit_code, finding
from sb3port.scanning.sarif import sarif
from sb3port.scanning.scan import scan, targets

from ..security.hostile import pack

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
EVIL = b"cposix\nsystem\n(X\x04\x00\x00\x00truetR."


def test_no_fixture_is_dangerous() -> None:
    files = list(scan(targets(str(ROOT / "fixtures"))))
    assert len(files) > 100
    assert {file.verdict for file in files} == {Verdict.CLEAN, Verdict.OWN_CODE}


@pytest.mark.parametrize("algorithm", [SAC, DQN])
def test_algorithms_that_cannot_be_ported(algorithm: Any, tmp_path: Path) -> None:
    env = "Pendulum-v1" if algorithm is SAC else "CartPole-v1"
    model = algorithm("MlpPolicy", env, buffer_size=100, policy_kwargs={"net_arch": [4]})
    model.save(tmp_path / "model.zip")
    model.save_replay_buffer(tmp_path / "buffer.pkl")
    found = {Path(file.path).name: file for file in scan(targets(str(tmp_path)))}
    assert {name: file.verdict.value for name, file in found.items()} == {
        "model.zip": "clean",
        "buffer.pkl": "clean",
    }
    assert "stable_baselines3.common.buffers.ReplayBuffer" in {f.name for f in found["buffer.pkl"].findings}


def test_large_buffers_are_passed_over(tmp_path: Path) -> None:
    from gymnasium import spaces

    buffer = ReplayBuffer(100_000, spaces.Box(-1, 1, (30,)), spaces.Box(-1, 1, (6,)), device="cpu")
    save_to_pkl(tmp_path / "buffer.pkl", buffer)
    assert (tmp_path / "buffer.pkl").stat().st_size > 2**24
    code = (
        "import resource; from sb3port.scanning.scan import *; import sys;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "(file,) = scan(targets(sys.argv[1])); assert file.verdict.value == 'clean', file;"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000;"
        "assert 'torch' not in sys.modules and 'numpy' not in {f.name for f in file.findings}"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "buffer.pkl")], check=True)


def test_unpacked_zips_links_and_what_is_not_scanned(tmp_path: Path) -> None:
    import zipfile

    zipfile.ZipFile(FIXTURE / f"{FIXTURE.name}.zip").extractall(tmp_path / "model")
    (tmp_path / "readme.txt").write_bytes(EVIL)
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "venv" / "x.pkl").write_bytes(EVIL)
    os.mkfifo(tmp_path / "pipe.pkl")
    (tmp_path / "gone.pkl").symlink_to(tmp_path / "nothing")
    found = {
        str(Path(file.path).relative_to(tmp_path)): file.verdict for file in scan(targets(str(tmp_path)))
    }
    assert found == {
        "model/data": Verdict.CLEAN,
        "model/policy.pth": Verdict.CLEAN,
        "model/policy.optimizer.pth": Verdict.CLEAN,
        "model/pytorch_variables.pth": Verdict.CLEAN,
        "venv/x.pkl": Verdict.DANGEROUS,
    }


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", pack({"data": b"{}"})[:-30], "not a whole zip"),
        ("a.zip", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.pkl", pickle.dumps(list(range(300)))[:-10], "not a whole pickle"),
        ("notes.txt", b"of no use", ""),
        ("a.pkl.gz", b"\x1f\x8b\x08\x00", "compressed"),
        ("a.pkl", b"\x1f\x8b\x08\x00", "compressed"),
        ("a.zip", pack({"data": b"{"}), "not JSON"),
        ("a.pkl", b"\x80\x04" + b"N0" * 2_000_000 + b"N.", "--limits"),
        ("config.yml", b"a: !!python/name:my.x {\n", "not YAML"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # zips hold the time of day
)
def test_what_cannot_be_read(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    (file,) = scan(targets(str(tmp_path / name)))
    assert (file.verdict is Verdict.UNREADABLE) == bool(words)
    assert all(words in reason for reason in file.unread)
    assert exit_code([file], strict=False) == (4 if words else 0)


def test_an_archive_that_deceives(tmp_path: Path) -> None:
    buffer = io.BytesIO(pack({"data": b"{}", "atad": b"{}"}))
    (tmp_path / "a.zip").write_bytes(buffer.getvalue().replace(b"atad", b"data"))
    (file,) = scan(targets(str(tmp_path)))
    assert file.verdict is Verdict.DANGEROUS
    assert "two members of one name" in (file.deceptive or "")


@pytest.mark.parametrize(
    ("names", "unread", "strict", "code"),
    [
        ([], (), False, 0),
        (["my.thing"], (), False, 0),
        (["my.thing"], (), True, 5),
        (["my.thing"], ("no",), False, 4),
        (["my.thing"], ("no",), True, 5),
        (["os.system"], ("no",), False, 5),
    ],
)
def test_exit_codes(names: list[str], unread: tuple[str, ...], strict: bool, code: int) -> None:
    findings = tuple(finding("", "", Global(*name.split("."))) for name in names)
    assert exit_code([ScannedFile("a", "pickle", 1, findings, unread)], strict) == code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of every verdict."""
    (tmp_path / "evil <b>|\x1b[31m.pkl").write_bytes(EVIL)
    (tmp_path / "own.pkl").write_bytes(b"cmy_robot\nReward\n.")
    (tmp_path / "broken.pkl").write_bytes(b"\x80\x04")
    (tmp_path / "clean.pkl").write_bytes(pickle.dumps(np.zeros(3)))
    return tmp_path


def test_sarif_is_of_its_schema(folder: Path) -> None:
    """The schema is OASIS's own file, which is named by SB3PORT_SARIF_SCHEMA."""
    jsonschema = pytest.importorskip("jsonschema")
    place = os.environ.get("SB3PORT_SARIF_SCHEMA")
    if place is None:
        pytest.skip("SB3PORT_SARIF_SCHEMA names no copy of sarif-schema-2.1.0.json")
    schema = json.loads(Path(place).read_text())
    for strict in (False, True):
        jsonschema.validate(sarif(list(scan(targets(str(folder)))), strict), schema)
