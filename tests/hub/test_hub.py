"""The Hub as a source, through the real client and a loopback Hub."""

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, constants, snapshot_download

from sb3port.errors import SourceUnreachable, UsageError
from sb3port.readers.places.hub import RepoFiles, download, list_repo

from .hub_client import DEAD_ENDPOINT, OFFLINE_WAYS, Client, go_offline
from .state import LoopbackHub

REPO = "sb3/ppo-CartPole-v1"
FILES = {
    "ppo-CartPole-v1.zip": b"weights of the first commit" * 100,
    "vec_normalize.pkl": b"statistics",
    "config.yml": b"normalize: false\n",
    "ppo-CartPole-v1/data": b"{}",
    "logs/[run 1].csv": b"1",
    "logs/r.csv": b"2",
    "reference.npz": b"not part of the repository",
}
ZIP = "ppo-CartPole-v1.zip"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder tree that is served: one repository as the zoo publishes them, and one small one."""
    for name, content in FILES.items():
        path = tmp_path / "repos" / REPO / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    secret = tmp_path / "repos" / "someone" / "secret" / "model.zip"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"secret weights")
    return tmp_path / "repos"


def change(root: Path, content: bytes) -> None:
    """Put other weights into the repository's folder."""
    (root / REPO / ZIP).write_bytes(content)


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class TestListing:
    def test_default_branch(self, hub: LoopbackHub) -> None:
        commit = hub.repos[REPO].refs["main"]
        names = tuple(sorted(set(FILES) - {"reference.npz"}))
        assert list_repo(REPO) == RepoFiles(REPO, commit, None, names, None)
        # Not the tree of the branch, which may have moved since the first answer.
        assert hub.requests[-1].path == f"/api/models/{REPO}/tree/{commit}"

    @pytest.mark.parametrize("kind", ["branch", "branch/with/slash", "tag", "commit"])
    def test_revision(self, kind: str, root: Path, hub: LoopbackHub) -> None:
        hub.tag(REPO, "tag")
        old = hub.commit(REPO, "branch")
        hub.commit(REPO, "branch/with/slash")
        change(root, b"newer")
        assert hub.commit(REPO) != old
        revision = old if kind == "commit" else kind
        repo = list_repo(REPO, revision)
        assert (repo.revision, repo.requested) == (old, revision)
        assert (download(repo, [ZIP]) / ZIP).read_bytes() == FILES[ZIP]

    def test_private_repository_with_token(self, hub: LoopbackHub, client: Client) -> None:
        hub.private.add("someone/secret")
        client.log_in(hub.token)
        folder = download(list_repo("someone/secret"), ["model.zip"])
        assert (folder / "model.zip").read_bytes() == b"secret weights"


class TestDownload:
    def test_branch_moved_since_the_listing(self, root: Path, hub: LoopbackHub, client: Client) -> None:
        repo = list_repo(REPO)
        change(root, b"newer")
        hub.commit(REPO)
        assert (download(repo, [ZIP]) / ZIP).read_bytes() == FILES[ZIP]
        client.offline()
        assert list_repo(REPO).revision == repo.revision

    def test_only_named_files(self, hub: LoopbackHub) -> None:
        repo = list_repo(REPO)
        folder = download(repo, [ZIP, "ppo-CartPole-v1/data"])
        prefix = f"{REPO}/resolve/{repo.revision}"
        assert hub.downloaded == [f"{prefix}/{ZIP}", f"{prefix}/ppo-CartPole-v1/data"]
        assert files_below(folder) == {ZIP, "ppo-CartPole-v1/data"}

    @pytest.mark.parametrize("name", sorted(set(FILES) - {"reference.npz"}))
    def test_any_file_alone(self, name: str) -> None:
        folder = download(list_repo(REPO), [name])
        assert files_below(folder) == {name}
        assert (folder / name).read_bytes() == FILES[name]

    @pytest.mark.parametrize("pattern", ["*.zip", "logs/[run 1].cs?", "logs/", "logs"])
    def test_patterns_are_no_names(self, pattern: str, hub: LoopbackHub) -> None:
        with pytest.raises(SourceUnreachable, match="has no file"):
            download(list_repo(REPO), [pattern])
        assert hub.downloaded == []

    def test_twice_asks_once(self, hub: LoopbackHub) -> None:
        assert download(list_repo(REPO), [ZIP]) == download(list_repo(REPO), [ZIP])
        assert len(hub.downloaded) == 1

    def test_record_of_the_branch_cannot_be_written(self, client: Client) -> None:
        refs = client.cache / "models--sb3--ppo-CartPole-v1" / "refs"
        refs.parent.mkdir(parents=True)
        refs.touch()
        assert (download(list_repo(REPO), [ZIP]) / ZIP).exists()

    def test_cut_connection_leaves_nothing_and_can_be_repeated(
        self, hub: LoopbackHub, client: Client
    ) -> None:
        repo = list_repo(REPO)
        hub.cut_downloads(*[7] * 20)  # the client tries up to six times
        with pytest.raises(SourceUnreachable, match=f"{ZIP} of {REPO}@main .* the connection to"):
            download(repo, [ZIP])
        assert files_below(client.cache / "models--sb3--ppo-CartPole-v1" / "snapshots") == set()
        client.offline()
        with pytest.raises(SourceUnreachable, match="not in the cache"):
            list_repo(REPO, repo.revision)
        client.offline(False)
        hub.cut_downloads()
        assert (download(repo, [ZIP]) / ZIP).read_bytes() == FILES[ZIP]


class TestOffline:
    @pytest.mark.parametrize("way", OFFLINE_WAYS)
    @pytest.mark.parametrize("revision", [None, "main", "v1", "feature/x"])
    def test_cache_answers(self, way: str, revision: str | None, hub: LoopbackHub, client: Client) -> None:
        hub.tag(REPO, "v1")
        hub.tag(REPO, "feature/x")
        online = list_repo(REPO, revision)
        folder = download(online, [ZIP, "ppo-CartPole-v1/data"])
        go_offline(way, client, hub)
        cached = list_repo(REPO, revision)
        assert cached == RepoFiles(REPO, online.revision, revision, (ZIP, "ppo-CartPole-v1/data"), folder)
        assert (download(cached, [ZIP]) / ZIP).read_bytes() == FILES[ZIP]

    @pytest.mark.parametrize("way", OFFLINE_WAYS)
    def test_cache_answers_for_a_commit(self, way: str, hub: LoopbackHub, client: Client) -> None:
        commit = list_repo(REPO).revision
        folder = download(list_repo(REPO, commit), [ZIP])
        go_offline(way, client, hub)
        assert list_repo(REPO, commit) == RepoFiles(REPO, commit, commit, (ZIP,), folder)
        assert files_below(folder.parent.parent / "refs") == set()
        with pytest.raises(SourceUnreachable):
            list_repo(REPO)  # which branch this commit is on was never asked

    @pytest.mark.parametrize("way", OFFLINE_WAYS)
    def test_nothing_cached(self, way: str, hub: LoopbackHub, client: Client) -> None:
        go_offline(way, client, hub)
        with pytest.raises(SourceUnreachable, match=f"{REPO}@main") as caught:
            list_repo(REPO)
        assert caught.value.hint

    def test_hub_that_never_answers(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client.point_to(f"http://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(SourceUnreachable, match="timed out"):
                list_repo(REPO)

    def test_offline_mode_is_named(self, client: Client) -> None:
        client.offline()
        with pytest.raises(SourceUnreachable, match="not in the cache") as caught:
            list_repo(REPO)
        assert "HF_HUB_OFFLINE" in str(caught.value.hint)

    def test_part_of_a_snapshot_that_another_tool_downloaded(self, client: Client) -> None:
        folder = Path(snapshot_download(REPO, allow_patterns=["*.zip"]))
        client.offline()
        assert list_repo(REPO) == RepoFiles(REPO, folder.name, None, (ZIP,), folder)

    def test_other_revision_than_the_cached(self, client: Client) -> None:
        download(list_repo(REPO), [ZIP])
        client.offline()
        with pytest.raises(SourceUnreachable, match=f"{REPO}@v2"):
            list_repo(REPO, "v2")

    def test_file_that_was_not_downloaded(self, client: Client) -> None:
        download(list_repo(REPO), [ZIP])
        client.offline()
        with pytest.raises(SourceUnreachable, match=f"vec_normalize.pkl of {REPO}@main is not in the cache"):
            download(list_repo(REPO), [ZIP, "vec_normalize.pkl"])

    def test_failed_update_keeps_what_worked(self, root: Path, hub: LoopbackHub, client: Client) -> None:
        old = list_repo(REPO)
        download(old, [ZIP])
        change(root, b"newer")
        newer = hub.commit(REPO)
        hub.gated.add(REPO)
        with pytest.raises(SourceUnreachable):
            download(list_repo(REPO), [ZIP])
        client.offline()
        assert list_repo(REPO).revision == old.revision
        with pytest.raises(SourceUnreachable):
            list_repo(REPO, newer)

    def test_hub_lost_between_listing_and_download(self, hub: LoopbackHub) -> None:
        repo = list_repo(REPO)
        hub.failing = 502
        with pytest.raises(SourceUnreachable, match=f"{ZIP} of {REPO}@main .* answers 502"):
            download(repo, [ZIP])


class TestRefusals:
    @pytest.mark.parametrize("token", [None, "hf_someone_else"])
    @pytest.mark.parametrize("repo_id", ["sb3/ppo-CartPole-v2", "someone/secret"])
    def test_unknown_and_private_look_alike(
        self, repo_id: str, token: str | None, hub: LoopbackHub, client: Client
    ) -> None:
        hub.private.add("someone/secret")
        if token:
            client.log_in(token)
        with pytest.raises(SourceUnreachable, match=f"{repo_id}@main.*no such.*private") as caught:
            list_repo(repo_id)
        assert "hf auth login" in str(caught.value.hint)
        assert "HF_TOKEN" in str(caught.value.hint)

    def test_bad_token(self, client: Client) -> None:
        client.log_in("expired")
        with pytest.raises(SourceUnreachable, match=f"refuses access to {REPO}@main .401.") as caught:
            list_repo(REPO)
        assert "hf auth login" in str(caught.value.hint)

    def test_unknown_revision(self) -> None:
        with pytest.raises(SourceUnreachable, match=f"{REPO}@v2: .*no such revision"):
            list_repo(REPO, "v2")

    def test_unknown_revision_is_not_taken_from_the_cache(self, hub: LoopbackHub) -> None:
        hub.tag(REPO, "v1")
        download(list_repo(REPO, "v1"), [ZIP])
        del hub.repos[REPO].refs["v1"]
        with pytest.raises(SourceUnreachable, match="no such revision"):
            list_repo(REPO, "v1")

    def test_unknown_file(self, hub: LoopbackHub) -> None:
        with pytest.raises(SourceUnreachable, match=f"{REPO}@main has no file nothing.zip"):
            download(list_repo(REPO), [ZIP, "nothing.zip"])
        assert hub.downloaded == []

    @pytest.mark.parametrize("token", [None, "hf_someone_else"])
    def test_gated(self, token: str | None, hub: LoopbackHub, client: Client) -> None:
        hub.gated.add(REPO)
        if token:
            client.log_in(token)
        with pytest.raises(SourceUnreachable, match=f"Access to {ZIP} of {REPO}@main must be") as caught:
            download(list_repo(REPO), [ZIP])
        assert f"{hub.endpoint}/{REPO}" in str(caught.value.hint)
        client.log_in(hub.token)
        assert (download(list_repo(REPO), [ZIP]) / ZIP).exists()

    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_other_answers(self, status: int, hub: LoopbackHub) -> None:
        download(list_repo(REPO), [ZIP])
        hub.failing = status
        with pytest.raises(SourceUnreachable, match=rf"{REPO}@main.*{status}") as caught:
            list_repo(REPO)  # an answer about the repository stands, whatever the cache holds
        assert caught.value.hint

    @pytest.mark.parametrize("repo_id", ["a/b/c", "sb3/", "sb3/ppo CartPole", "-x/y", "sb3/a--b", ""])
    @pytest.mark.parametrize("offline", [False, True])
    def test_invalid_repo_id(self, repo_id: str, offline: bool, client: Client) -> None:
        client.offline(offline)
        with pytest.raises(UsageError, match="repository's name"):
            list_repo(repo_id)

    @pytest.mark.parametrize("revision", ["", "../../outside", "/outside", "a..b"])
    def test_invalid_revision(self, revision: str) -> None:
        with pytest.raises(UsageError, match="cannot be a revision"):
            list_repo(REPO, revision)

    def test_cache_cannot_be_written(self, client: Client) -> None:
        client.cache.parent.mkdir(parents=True)
        client.cache.touch()
        with pytest.raises(SourceUnreachable, match="cannot be stored") as caught:
            download(list_repo(REPO), [ZIP])
        assert "HF_HOME" in str(caught.value.hint)


class TestNoise:
    @pytest.fixture
    def library(self) -> logging.Logger:
        return logging.getLogger("huggingface_hub")

    @pytest.mark.parametrize("level", [logging.WARNING, logging.INFO])
    def test_warnings_are_off_unless_asked_for(
        self,
        level: int,
        library: logging.Logger,
        hub: LoopbackHub,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(library, "level", level)
        repo = list_repo(REPO)
        hub.failing = 503
        with pytest.raises(SourceUnreachable):
            download(repo, [ZIP])
        assert bool(caplog.records) == (level == logging.INFO)
        assert library.level == level

    SCRIPT = """
import sys
from sb3port.readers.places import hub
assert not {"huggingface_hub", "httpx", "torch"} & set(sys.modules)
repo = hub.list_repo(sys.argv[1])
folder = hub.download(repo, [sys.argv[2]])
print(repo.revision, (folder / sys.argv[2]).read_bytes() == b"statistics", repo.folder is None)
"""

    def test_environment_variables_and_silence(self, hub: LoopbackHub, tmp_path: Path) -> None:
        commit = hub.repos[REPO].refs["main"]
        environment = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint}
        assert self.run(environment) == (f"{commit} True True\n", "")
        assert self.run(environment | {"HF_HUB_OFFLINE": "1"}) == (f"{commit} True False\n", "")
        assert self.run(environment | {"HF_ENDPOINT": DEAD_ENDPOINT}) == (f"{commit} True False\n", "")

    def run(self, environment: dict[str, str]) -> tuple[str, str]:
        """Run the script in a process of its own; give what it wrote to stdout and to stderr."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        command = [sys.executable, "-c", self.SCRIPT, REPO, "vec_normalize.pkl"]
        done = subprocess.run(command, env=own | environment, capture_output=True, text=True, check=False)
        return done.stdout, done.stderr


class TestLoopback:
    """What the client above does not use of the Hub, and others do."""

    @pytest.mark.parametrize(
        ("header", "status", "content", "where"),
        [
            ("bytes=0-3", 206, b"stat", "bytes 0-3/10"),
            ("bytes=4-", 206, b"istics", "bytes 4-9/10"),
            ("bytes=-4", 206, b"tics", "bytes 6-9/10"),
            ("bytes=8-99", 206, b"cs", "bytes 8-9/10"),
            ("bytes=10-", 416, None, "bytes */10"),
        ],
    )
    def test_ranges(
        self, header: str, status: int, content: bytes | None, where: str, hub: LoopbackHub
    ) -> None:
        url = f"{hub.endpoint}/{REPO}/resolve/main/vec_normalize.pkl"
        response = httpx.get(url, headers={"Range": header})
        assert (response.status_code, response.headers["Content-Range"]) == (status, where)
        assert content is None or response.content == content

    def test_tree_of_a_folder(self) -> None:
        api = HfApi()
        assert {entry.path for entry in api.list_repo_tree(REPO, "logs")} == {
            "logs/[run 1].csv",
            "logs/r.csv",
        }
        top = {entry.path for entry in api.list_repo_tree(REPO)}
        assert top == {ZIP, "config.yml", "vec_normalize.pkl", "ppo-CartPole-v1", "logs"}
        large = {file.path for file in api.list_repo_tree(REPO, recursive=True) if getattr(file, "lfs", None)}
        assert large == {ZIP, "vec_normalize.pkl"}

    def test_snapshot_download(self) -> None:
        assert files_below(Path(snapshot_download(REPO))) == set(FILES) - {"reference.npz"}

    def test_commit_follows_the_contents(self, root: Path, hub: LoopbackHub) -> None:
        first = hub.commit(REPO)
        change(root, b"newer")
        assert hub.commit(REPO) != first
        change(root, FILES[ZIP])
        assert hub.commit(REPO) == first
