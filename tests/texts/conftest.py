"""A port to begin with."""

import pytest

from sb3port.commands.convert import ConvertOptions, convert
from tests.cli.conftest import cli, here

from .nasty import SOURCE, Make, checkpoint_with

__all__ = ["cli", "here"]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Give a function that makes checkpoints full of a text."""
    port = tmp_path_factory.mktemp("ports") / "pendulum"
    convert(str(SOURCE), port, ConvertOptions(verify=False), lambda *_: None)
    return lambda text: checkpoint_with(text, port)
