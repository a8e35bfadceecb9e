"""Copies of the fixtures to be made hostile."""

from pathlib import Path

import pytest

from .hostile import Victim


@pytest.fixture
def victim(pendulum: Path, tmp_path: Path) -> Victim:
    """A copy of the fixture that has everything: data, three torch files, statistics."""
    return Victim(pendulum, tmp_path)
