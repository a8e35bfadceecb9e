"""The loopback Hub and its client, for those tests that take them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.hub_client import Client
from tests.hub.loopback import serve
from tests.hub.state import LoopbackHub


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import what tests hand them from where this is, however pytest was started."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub without repositories, to which the real client is pointed, here and in workers."""
    (tmp_path / "hub").mkdir()
    with serve(tmp_path / "hub") as hub:
        point_to(hub, tmp_path / "home", monkeypatch)
        yield hub


def point_to(hub: LoopbackHub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the real client to a Hub: here, and in workers, each of which reads variables anew."""
    client = Client(monkeypatch, home)
    client.point_to(hub.endpoint)
    for name, value in (("ENDPOINT", hub.endpoint), ("HUB_CACHE", client.cache), ("HUB_DISABLE_XET", 1)):
        monkeypatch.setenv(f"HF_{name}", str(value))
