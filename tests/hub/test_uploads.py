"""What the real client writes to the loopback Hub, and reads back."""

from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    hf_hub_download,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from .hub_client import Client
from .state import LoopbackHub

REPO = "loopback/lander"
FILES = {
    "model.zip": b"PK weights" * 1000,
    "logs/curve.csv": b"1,2\n",
    "README.md": b"---\ntags: [ppo]\n---\n# Lander\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repos"


@pytest.fixture
def api(client: Client, hub: LoopbackHub) -> HfApi:
    client.log_in(hub.token)
    return HfApi()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(revision: str = "main") -> dict[str, bytes]:
    names = set(HfApi().list_repo_files(REPO, revision=revision)) - {".gitattributes"}
    return {name: Path(hf_hub_download(REPO, name, revision=revision)).read_bytes() for name in names}


def test_whoami(api: HfApi, client: Client) -> None:
    assert HfApi().whoami()["name"] == "loopback"
    client.log_in("hf_someone_else")
    with pytest.raises(HfHubHTTPError, match=r"[Ii]nvalid"):
        HfApi().whoami()


def test_create(api: HfApi, hub: LoopbackHub) -> None:
    assert api.create_repo("lander") == f"{hub.endpoint}/{REPO}"
    assert HfApi().list_repo_files(REPO) == [".gitattributes"]
    assert api.create_repo(REPO, exist_ok=True).repo_id == REPO
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(REPO)
    api.create_repo("someone/secret", private=True)
    assert HfApi().model_info("someone/secret").private
    api.delete_repo(REPO)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(REPO)


@pytest.mark.parametrize("redirects", [False, True])
def test_upload_folder(api: HfApi, hub: LoopbackHub, folder: Path, redirects: bool) -> None:
    hub.redirects = redirects
    api.create_repo(REPO)
    commit = api.upload_folder(repo_id=REPO, folder_path=folder, commit_message="Upload")
    assert contents() == FILES
    assert contents(commit.oid) == FILES
    assert HfApi().model_info(REPO).sha == commit.oid
    assert ModelCard.load(REPO).data.tags == ["ppo"]
    # The zip went by LFS: asked for, sent, verified; the rest with the commit.
    lfs = [
        f"{request.method} {request.path.split('/')[-1]}" for request in hub.requests if "lfs" in request.path
    ]
    assert [lfs[0], lfs[-1], len(lfs)] == ["POST batch", "POST verify", 3]


def test_upload_again_sends_what_changed(api: HfApi, hub: LoopbackHub, folder: Path) -> None:
    api.create_repo(REPO)
    first = api.upload_folder(repo_id=REPO, folder_path=folder)
    assert api.upload_folder(repo_id=REPO, folder_path=folder).oid == first.oid
    (folder / "logs" / "curve.csv").write_bytes(b"3,4\n")
    hub.requests.clear()
    second = api.upload_folder(repo_id=REPO, folder_path=folder)
    assert [request for request in hub.requests if request.method == "PUT"] == []
    assert contents()["logs/curve.csv"] == b"3,4\n"
    assert contents(first.oid) == FILES
    assert second.oid != first.oid


def test_pull_request(api: HfApi, hub: LoopbackHub, folder: Path) -> None:
    api.create_repo(REPO)
    before = HfApi().model_info(REPO).sha
    commit = api.upload_folder(repo_id=REPO, folder_path=folder, commit_message="Port", create_pr=True)
    assert (commit.pr_num, commit.pr_revision) == (1, "refs/pr/1")
    assert commit.pr_url == f"{hub.endpoint}/{REPO}/discussions/1"
    assert HfApi().model_info(REPO).sha == before
    assert contents("refs/pr/1") == FILES
    api.upload_file(
        path_or_fileobj=b"more",
        path_in_repo="more.txt",
        repo_id=REPO,
        revision="refs/pr/1",
        commit_message="More",
    )
    (listed,) = api.get_repo_discussions(REPO, discussion_type="pull_request", discussion_status="open")
    assert (listed.title, listed.num, listed.is_pull_request) == ("Port", 1, True)
    details = api.get_discussion_details(REPO, 1)
    assert (details.status, details.git_reference) == ("open", "refs/pr/1")
    api.merge_pull_request(REPO, 1)
    assert contents() == FILES | {"more.txt": b"more"}
    assert api.get_discussion_details(REPO, 1).status == "merged"
    assert list(api.get_repo_discussions(REPO, discussion_status="open")) == []
    with pytest.raises(HfHubHTTPError, match="404"):
        api.get_discussion_details(REPO, 2)


def test_pull_request_without_a_commit(api: HfApi) -> None:
    api.create_repo(REPO)
    assert api.create_pull_request(REPO, title="Later").num == 1
    refs = api.list_repo_refs(REPO, include_pull_requests=True)
    assert [pull.ref for pull in refs.pull_requests or []] == ["refs/pr/1"]


def test_branches_and_tags(api: HfApi, folder: Path) -> None:
    api.create_repo(REPO)
    api.create_branch(REPO, branch="feature/x")
    api.upload_folder(repo_id=REPO, folder_path=folder, revision="feature/x")
    api.create_tag(REPO, tag="v1", revision="feature/x")
    refs = api.list_repo_refs(REPO)
    assert [branch.name for branch in refs.branches] == ["feature/x", "main"]
    assert [tag.name for tag in refs.tags] == ["v1"]
    assert contents("v1") == contents("feature/x") == FILES
    assert contents() == {}
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_branch(REPO, branch="main")


def test_deletion(api: HfApi, folder: Path) -> None:
    api.create_repo(REPO)
    api.upload_folder(repo_id=REPO, folder_path=folder)
    api.create_commit(REPO, [CommitOperationDelete("logs/")], commit_message="Tidy")
    api.delete_file("model.zip", REPO)
    assert set(contents()) == {"README.md"}
    with pytest.raises(HfHubHTTPError, match="404"):
        api.delete_file("model.zip", REPO)


def test_a_commit_on_what_is_no_longer_there(api: HfApi, folder: Path) -> None:
    api.create_repo(REPO)
    parent = HfApi().model_info(REPO).sha
    api.upload_folder(repo_id=REPO, folder_path=folder)
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=REPO, parent_commit=parent)


@pytest.mark.parametrize(("token", "status"), [(None, "401"), ("hf_someone_else", "403"), ("expired", "401")])
def test_nobody_else_writes(api: HfApi, client: Client, folder: Path, token: str | None, status: str) -> None:
    api.create_repo(REPO)
    client.patch.delenv("HF_TOKEN")
    if token:
        client.log_in(token)
    for write in (
        lambda: api.create_repo("other"),
        lambda: api.upload_folder(repo_id=REPO, folder_path=folder),
        lambda: api.create_branch(REPO, branch="x"),
        lambda: api.create_tag(REPO, tag="x"),
        lambda: api.create_pull_request(REPO, title="x"),
        lambda: api.delete_repo(REPO),
    ):
        with pytest.raises(HfHubHTTPError, match=status):
            write()


def test_a_busy_hub_takes_uploads_later(
    api: HfApi, hub: LoopbackHub, folder: Path, waits: list[float]
) -> None:
    api.create_repo(REPO)
    hub.fail_next(0, 0, 503)
    api.upload_folder(repo_id=REPO, folder_path=folder)
    assert contents() == FILES
    assert len(waits) == 1


def test_what_was_not_uploaded_cannot_be_committed(api: HfApi, hub: LoopbackHub) -> None:
    api.create_repo(REPO)
    weights = CommitOperationAdd("model.zip", b"weights")
    api.preupload_lfs_files(REPO, [weights], free_memory=False)
    hub.objects.clear()
    with pytest.raises(HfHubHTTPError, match="cannot be committed"):
        api.create_commit(REPO, [weights], commit_message="Lost")
    assert contents() == {}
