"""A port to push, and a Hub that lets us."""

import shutil
from pathlib import Path

import pytest

from sb3port.commands.convert import ConvertOptions, convert

from ..hub_client import Client
from ..state import LoopbackHub
from .pushing import FIXTURES, SOURCE


@pytest.fixture(scope="session")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The port of a local folder, compared with it; made once, and copied by those who change it."""
    dest = tmp_path_factory.mktemp("verified") / "port"
    convert(str(FIXTURES / SOURCE), dest, ConvertOptions(), lambda *_: None)
    return dest


@pytest.fixture
def port(verified: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(verified, tmp_path / "port"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES, tmp_path / "repos"))


@pytest.fixture(autouse=True)
def token(client: Client, hub: LoopbackHub) -> None:
    client.log_in(hub.token)
