"""The command that a missing extra is installed with: from where sb3port was installed."""

import json
from collections.abc import Mapping
from importlib.metadata import distribution
from typing import Any

import pytest
from packaging.requirements import Requirement

from sb3port import errors
from sb3port.errors import UsageError, installing, need

URL = "https://example.org/me/sb3port.git"
ORIGINS: list[tuple[Mapping[str, Any], str, str]] = [
    ({}, "'sb3port[torch]'", "'sb3port[lerobot]'"),
    (
        {"url": "file:///home/me/my%20code/sb3port", "dir_info": {"editable": True}},
        "-e '/home/me/my code/sb3port[torch]'",
        "-e '/home/me/my code/sb3port/lerobot_policy_ppo' -e '/home/me/my code/sb3port[lerobot]'",
    ),
    (
        {"url": "file:///src/sb3port", "dir_info": {}},
        "'/src/sb3port[torch]'",
        "/src/sb3port/lerobot_policy_ppo '/src/sb3port[lerobot]'",
    ),
    (
        {"url": URL, "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "v1"}},
        f"'sb3port[torch] @ git+{URL}@v1'",
        f"'lerobot_policy_ppo @ git+{URL}@v1#subdirectory=lerobot_policy_ppo' "
        f"'sb3port[lerobot] @ git+{URL}@v1'",
    ),
    (
        {"url": "file:///tmp/sb3port-0.1.0-py3-none-any.whl", "archive_info": {}},
        "'sb3port[torch] @ file:///tmp/sb3port-0.1.0-py3-none-any.whl'",
        "'sb3port[lerobot] @ file:///tmp/sb3port-0.1.0-py3-none-any.whl'",
    ),
]


@pytest.mark.parametrize(("origin", "torch", "lerobot"), ORIGINS)
def test_the_command_is_for_the_place(
    origin: Mapping[str, Any], torch: str, lerobot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "_origin", lambda: origin)
    for extra, words in (("torch", torch), ("lerobot", lerobot)):
        assert installing(extra).removeprefix("uv ") == f"pip install {words}"


def test_the_origin_is_what_the_installer_noted() -> None:
    """Of these tests it is the checkout, which no index has."""
    noted = distribution("sb3port").read_text("direct_url.json")
    assert errors._origin() == (json.loads(noted) if noted else {})


def test_a_missing_package_is_said_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_EXTRAS", {"torch": ("no_such_package",)})
    with pytest.raises(UsageError, match="eval needs no_such_package, which is not installed") as failed:
        need("torch", "eval", "leave it")
    assert failed.value.hint == f"{installing('torch')}, or leave it"


def test_requirements_are_written_as_the_standard_has_them() -> None:
    for _, torch, lerobot in ORIGINS:
        for quoted in (part for words in (torch, lerobot) for part in words.split("'")[1::2]):
            if " @ " in quoted:
                assert Requirement(quoted).name in ("sb3port", "lerobot_policy_ppo")
