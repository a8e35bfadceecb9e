"""A loopback Hub, and the real client with endpoint, cache and login of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .hub_client import Client
from .loopback import serve
from .state import LoopbackHub


@pytest.fixture
def hub(root: Path) -> Iterator[LoopbackHub]:
    """The Hub that serves `root`, a fixture of the test module."""
    with serve(root) as hub:
        yield hub


@pytest.fixture(autouse=True)
def client(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The real client, online, pointed at the loopback Hub, with an empty cache and without a token."""
    client = Client(monkeypatch, tmp_path / "home")
    client.point_to(hub.endpoint)
    return client


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let whoever tries again do it at once; give the seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited
