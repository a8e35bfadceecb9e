"""Why the Hub does not take a port, in words."""

import sys
from pathlib import Path
from typing import Any

import pytest

from sb3port.commands.publishing.contents import Upload, prepare
from sb3port.commands.publishing.uploading import check_name, push
from sb3port.errors import SourceUnreachable, UsageError

from ..hub_client import DEAD_ENDPOINT, Client
from ..state import LoopbackHub
from .pushing import PORT_FILES, REPO, pushed, tree


def refused(upload: Upload, **options: Any) -> str:
    with pytest.raises(SourceUnreachable) as refused:
        push(upload, **options)
    return f"{refused.value.message}; {refused.value.hint}"


@pytest.mark.parametrize(
    "name", ["pendulum", "a/b/c", "", "a/", "me/no spaces", "-me/x", "me/x.git", "me/" + "x" * 99]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a repository's name"):
        check_name(name)


def test_who_may_not_write_is_told_so(hub: LoopbackHub, client: Client, port: Path) -> None:
    upload = prepare(port, REPO)
    client.patch.delenv("HF_TOKEN")
    assert "takes a token, and there is none; log in with `hf auth login`" in refused(upload)
    client.log_in("expired")
    assert "does not accept the token" in refused(upload)
    client.log_in("hf_someone_else")
    assert "does not let you write" in refused(upload)
    assert REPO not in hub.repos
    client.log_in(hub.token)
    push(upload)
    for stranger, words in (("hf_someone_else", "does not let you write"), ("expired", "does not accept")):
        client.log_in(stranger)
        assert words in refused(prepare(port, REPO))


def test_another_owners_private_repository(hub: LoopbackHub, client: Client, port: Path) -> None:
    pushed(port)
    hub.private.add(REPO)
    client.log_in("hf_someone_else")
    assert "does not let you write" in refused(prepare(port, REPO))


def test_a_hub_that_is_away(hub: LoopbackHub, client: Client, port: Path) -> None:
    upload = prepare(port, REPO)
    for status in (429, 500, 503):
        hub.failing = status
        assert f"answers {status}; try again later" in refused(upload)
    hub.failing = 200
    assert "does not answer as a Hub" in refused(upload)
    hub.failing = 418
    assert "The Hub refuses" in refused(upload)
    client.offline()
    assert "offline mode forbids it; unset HF_HUB_OFFLINE" in refused(upload)
    client.offline(False)
    client.point_to(DEAD_ENDPOINT)
    assert "the connection to" in refused(upload)


def test_a_push_that_is_cut_off_can_be_repeated(hub: LoopbackHub, port: Path) -> None:
    upload = prepare(port, REPO)
    hub.fail_next(0, 0, 0, 0, 400)  # in place of telling which files are to come as large ones
    assert "The Hub refuses" in refused(upload)
    assert tree(hub) == {}
    assert pushed(port).changed
    assert set(tree(hub)) == PORT_FILES | {"parity.json", "parity.md", "parity.html"}


def test_a_commit_of_somebody_else_meanwhile(
    hub: LoopbackHub, port: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(port)
    files = hub.repos[REPO]
    real = sys.modules["sb3port.commands.publishing.uploading"]._operations

    def slow(*args: Any) -> Any:
        files.commit({**files.commits[files.refs["main"]], "other.txt": b"x"}, "main")
        return real(*args)

    monkeypatch.setattr("sb3port.commands.publishing.uploading._operations", slow)
    (port / "parity.json").unlink()
    assert "changed by somebody else meanwhile; push again" in refused(prepare(port, REPO))
    assert "other.txt" in tree(hub)


def test_metadata_that_the_hub_refuses(hub: LoopbackHub, port: Path) -> None:
    hub.card_errors = ['"license" must be one of [mit, …]', "and more"]
    with pytest.raises(UsageError, match=r'README\.md are not valid: "license" must be one of') as refused:
        pushed(port)
    assert "mend the lines" in (refused.value.hint or "")
