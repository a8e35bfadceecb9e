"""What a push does to a repository."""

import json
from pathlib import Path

import pytest

from sb3port.commands.convert import ConvertOptions, convert
from sb3port.errors import UsageError

from ..state import LoopbackHub
from .pushing import CARTPOLE, FIXTURES, PORT_FILES, REPO, RETURNS, SOURCE, pushed, tree


def test_a_second_push_changes_what_changed(hub: LoopbackHub, port: Path, tmp_path: Path) -> None:
    first = pushed(port)
    again = pushed(port)
    assert (again.changed, again.commit) == (False, first.commit)
    (tmp_path / "returns.json").write_text(json.dumps(RETURNS))
    second = pushed(port, returns=tmp_path / "returns.json")
    assert second.changed
    assert b"seeds 3 to 5" in tree(hub)["README.md"]
    assert b"seeds 3 to 5" not in hub.repos[REPO].commits[first.commit]["README.md"]


def test_another_port_replaces_all_of_the_first(hub: LoopbackHub, port: Path, tmp_path: Path) -> None:
    pushed(port)
    before = hub.repos[REPO].refs["main"]
    hub.repos[REPO].commit({**hub.repos[REPO].commits[before], "replay.mp4": b"video"}, "main")
    convert(str(FIXTURES / CARTPOLE), tmp_path / "other", ConvertOptions(verify=False), lambda *_: None)
    pushed(tmp_path / "other")
    statistics = "policy_preprocessor_step_2_sb3port_vec_normalize.safetensors"
    assert set(tree(hub)) == PORT_FILES - {statistics} | {"replay.mp4"}
    assert tree(hub)["model.safetensors"] == (tmp_path / "other" / "model.safetensors").read_bytes()


def test_a_pull_request_leaves_main_alone(hub: LoopbackHub, port: Path) -> None:
    done = pushed(port, SOURCE, create_pr=True)  # where something else is, too
    assert done.pull_request == f"{hub.endpoint}/{SOURCE}/discussions/1"
    assert "sb3port.json" in tree(hub, "refs/pr/1", SOURCE)
    assert "sb3port.json" not in tree(hub, repo=SOURCE)
    assert hub.repos[SOURCE].pull_requests[0].title == "Upload a LeRobot port of ppo-Pendulum-v1"


def test_private_repositories(hub: LoopbackHub, port: Path) -> None:
    pushed(port, private=True)
    assert REPO in hub.private
    pushed(port, private=True)
    hub.private.clear()
    with pytest.raises(UsageError, match=r"is there and public"):
        pushed(port, private=True)


def test_something_else_is_not_overwritten(hub: LoopbackHub, port: Path) -> None:
    before = tree(hub, repo=SOURCE)
    with pytest.raises(UsageError, match="holds something else than a port") as refused:
        pushed(port, SOURCE)
    assert "--create-pr" in (refused.value.hint or "")
    assert tree(hub, repo=SOURCE) == before


def test_an_empty_repository_is_filled(hub: LoopbackHub, port: Path, root: Path) -> None:
    (root / REPO).mkdir(parents=True)
    (root / REPO / "README.md").write_text("---\nlicense: mit\n---\n")
    hub.commit(REPO)
    pushed(port)
    assert "sb3port.json" in tree(hub)
