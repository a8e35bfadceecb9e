"""A push that is killed before or after any of its requests: the repository is what it was or shall be."""

import os
import signal
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest

from sb3port.commands.convert import ConvertOptions, convert
from tests.security.file_operations import in_child

from ..state import LoopbackHub
from .pushing import CARTPOLE, FIXTURES, REPO, pushed, tree

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="it pushes in forks of this process"),
]


def _watch(sent: Callable[[int, str], None]) -> None:
    """From now on, call `sent` with the number of every request, before it and after its answer."""
    send, count = httpx.Client.send, 0

    def watched(self: httpx.Client, *args: Any, **more: Any) -> httpx.Response:
        nonlocal count
        count += 1
        sent(count, "before")
        answer = send(self, *args, **more)
        sent(count, "after")
        return answer

    httpx.Client.send = watched  # type: ignore[method-assign]


def _kill(at: tuple[int, str], number: int, when: str) -> None:
    if (number, when) == at:
        os.kill(os.getpid(), signal.SIGKILL)


def _there(hub: LoopbackHub) -> dict[str, bytes] | None:
    """Give what is in the repository, None where there is none or it is new and empty."""
    return (tree(hub) or None) if REPO in hub.repos else None


@pytest.mark.parametrize("replaces", [False, True])
def test_killed_at_any_request(replaces: bool, port: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    huggingface_hub.close_session()  # forks would share its connections
    if replaces:
        older = tmp_path / "older"
        convert(str(FIXTURES / CARTPOLE), older, ConvertOptions(verify=False), lambda *_: None)
        assert in_child(partial(pushed, older)).code == 0
    old, ends = _there(hub), []
    for number, when in product(range(1, 20), ("before", "after")):
        ended = in_child(partial(pushed, port), partial(_watch, partial(_kill, (number, when))))
        ends.append(_there(hub))
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended.message
    assert len(ends) > 4
    assert ends[-1] not in (None, old)
    assert all(end in (old, ends[-1]) for end in ends)
