"""SOURCE as a Hub repository: convert, verify and inspect through the real client and a loopback Hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sb3port.commands.convert import Conversion, ConvertOptions, convert
from sb3port.commands.policies import read_options
from sb3port.errors import NotPortable, SourceUnreachable, UsageError
from sb3port.ports.manifest import read_provenance
from tests.ports import verified

from .hub_client import Client
from .state import LoopbackHub

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub"
REPO = "sb3port/ppo-Pendulum-v1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES, tmp_path / "repos"))


def pull(label: str, dest: Path, verified: bool = False, **narrowed: str) -> Conversion:
    options = ConvertOptions(read_options(**narrowed), verify=verified)
    return convert(label, dest, options, lambda *_: None)


def test_repository_is_pulled_ported_and_verified(hub: LoopbackHub, tmp_path: Path) -> None:
    commit = hub.commit(REPO)
    done = pull(REPO, tmp_path / "port", verified=True)
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    files = ("ppo-Pendulum-v1.zip", "vec_normalize.pkl", "config.yml", "args.yml")
    wanted = {f"{REPO}/resolve/{commit}/{name}" for name in files}
    assert set(hub.downloaded) == wanted  # and nothing else of the repository
    assert done.checkpoint.environment.env_id == "Pendulum-v1"
    provenance = read_provenance(tmp_path / "port")
    assert (provenance.kind, provenance.location, provenance.revision) == ("hub", REPO, commit)
    assert verified(tmp_path / "port").verdict == "bit-exact"


def test_default_destination_is_named_after_the_repository(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ConvertOptions(verify=False)
    assert convert(REPO, None, options, lambda *_: None).port == Path("ports/ppo-Pendulum-v1")
    assert (tmp_path / "ports" / "ppo-Pendulum-v1" / "config.json").is_file()


def test_an_existing_folder_beats_a_repository_of_its_name(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES)
    pull(REPO, tmp_path / "port")
    assert read_provenance(tmp_path / "port").kind == "folder"
    assert hub.requests == []


def test_port_stays_with_the_revision_that_it_was_made_of(
    hub: LoopbackHub, root: Path, tmp_path: Path
) -> None:
    hub.tag(REPO, "v1")
    first = hub.commit(REPO)
    pull(REPO, tmp_path / "port")
    (root / REPO / "ppo-Pendulum-v1.zip").write_bytes(b"something else")
    second = hub.commit(REPO)
    assert first != second
    assert verified(tmp_path / "port").verdict == "bit-exact"
    with pytest.raises(NotPortable, match="not a whole zip"):
        pull(REPO, tmp_path / "newer")
    for dest, pinned in (
        (tmp_path / "by-option", {"revision": "v1"}),
        (tmp_path / "by-commit", {"revision": first}),
    ):
        assert pull(REPO, dest, **pinned).checkpoint.provenance.revision == first
    assert pull(f"{REPO}@v1", tmp_path / "by-name").checkpoint.provenance.revision == first


def test_port_of_the_hub_is_not_confused_by_a_folder_of_that_name(
    hub: LoopbackHub, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(REPO, tmp_path / "port")
    monkeypatch.chdir(root)
    assert Path(REPO).is_dir()
    assert verified(tmp_path / "port").verdict == "bit-exact"


def test_files_in_the_cache_are_a_source_like_any_other(hub: LoopbackHub, tmp_path: Path) -> None:
    """They are symbolic links to files that are named by their hashes."""
    pull(REPO, tmp_path / "port")
    (link,) = tmp_path.rglob("snapshots/*/ppo-Pendulum-v1.zip")
    assert link.is_symlink()
    done = pull(str(link), tmp_path / "again")
    assert done.checkpoint.provenance.name == "ppo-Pendulum-v1"
    assert done.checkpoint.normalizer is not None
    assert verified(tmp_path / "again").verdict == "bit-exact"


def test_offline_from_the_cache(hub: LoopbackHub, client: Client, tmp_path: Path) -> None:
    online = pull(REPO, tmp_path / "online")
    client.offline()
    offline = pull(REPO, tmp_path / "offline")
    assert offline.checkpoint.provenance.revision == online.checkpoint.provenance.revision
    assert verified(tmp_path / "offline").verdict == "bit-exact"
    with pytest.raises(SourceUnreachable, match="offline"):
        pull("sb3port/ppo-CartPole-v1", tmp_path / "other")


@pytest.mark.parametrize(
    ("label", "error", "words"),
    [
        ("sb3port/ppo-Pendulum-v2", SourceUnreachable, "no such repository"),
        (f"{REPO}@nowhere", SourceUnreachable, "no such revision"),
        ("ppo-Pendulum-v1", UsageError, "neither a file or folder"),
        ("a/b/c", UsageError, "neither a file or folder"),
    ],
)
def test_wrong_names(
    hub: LoopbackHub, tmp_path: Path, label: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        pull(label, tmp_path / "port")
    assert not (tmp_path / "port").exists()


def test_file_that_the_repository_lacks(hub: LoopbackHub, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file best_model\.zip"):
        pull(REPO, tmp_path / "port", filename="best_model.zip")


def test_repository_with_two_zips_lists_them(hub: LoopbackHub, root: Path, tmp_path: Path) -> None:
    folder = root / "someone" / "models"
    folder.mkdir(parents=True)
    for name in ("first.zip", "second.zip"):
        shutil.copy(FIXTURES / "sb3port/ppo-CartPole-v1/ppo-CartPole-v1.zip", folder / name)
    hub.commit("someone/models")
    with pytest.raises(UsageError, match=r"first\.zip, second\.zip"):
        pull("someone/models", tmp_path / "port")
    pull("someone/models", tmp_path / "port", filename="second.zip")
    assert read_provenance(tmp_path / "port").files["checkpoint"].name == "second.zip"
    assert verified(tmp_path / "port").holds(exact=True)


@pytest.mark.zoo
def test_zoo_model_from_the_hub(zoo: Path, hub: LoopbackHub, root: Path, tmp_path: Path) -> None:
    shutil.copytree(zoo / "ppo-Pendulum-v1", root / "sb3" / "ppo-Pendulum-v1")
    hub.commit("sb3/ppo-Pendulum-v1")
    done = pull("sb3/ppo-Pendulum-v1", tmp_path / "port", verified=True)
    assert done.report is not None
    assert done.report.verdict == "bit-exact"


def test_command_obeys_the_environment_of_the_client(hub: LoopbackHub, tmp_path: Path) -> None:
    def run(dest: str, **variables: str) -> subprocess.CompletedProcess[str]:
        home = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.endpoint}
        command = [sys.executable, "-m", "sb3port", "convert", REPO, dest, "--no-verify", "--json"]
        environment = {**os.environ, **home, **variables}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )

    cold = run("cold", HF_HUB_OFFLINE="1")
    assert (cold.returncode, cold.stdout) == (3, "")
    assert "offline" in cold.stderr
    assert "Traceback" not in cold.stderr
    online = run("online")
    assert online.returncode == 0, online.stderr
    assert json.loads(online.stdout)["port"] == "online"
    assert run("warm", HF_HUB_OFFLINE="1").returncode == 0
