"""Fixtures for the tests of the LeRobot plugin."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Bit-exactness is defined for one thread."""
    torch.set_num_threads(1)
