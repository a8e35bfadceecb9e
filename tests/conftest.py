"""What all tests share: where the fixtures and the zoo models are, and one torch thread."""

import os
from pathlib import Path

import pytest

# Bit-exactness is defined for one thread, and several processes share the cores. torch reads this when it is
# first imported, which the modules of the tests do.
os.environ["OMP_NUM_THREADS"] = "1"

REPOSITORY = Path(__file__).parents[1]
FIXTURES = REPOSITORY / "fixtures" / "hub" / "sb3port"
ZOO = Path(os.environ.get("SB3PORT_ZOO") or REPOSITORY.parent / "shared" / "hub" / "sb3")


@pytest.fixture(autouse=True)
def _no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the reports of tests out of the summary of the run that tests them."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture(scope="session")
def pendulum() -> Path:
    """A checkpoint with gSDE and VecNormalize statistics, in a Hub repository's layout."""
    return FIXTURES / "ppo-Pendulum-v1"


@pytest.fixture(scope="session")
def cartpole() -> Path:
    """A checkpoint with discrete actions and linear schedules, in a Hub repository's layout."""
    return FIXTURES / "ppo-CartPole-v1"


@pytest.fixture(scope="session")
def zoo() -> Path:
    """The folder of real zoo models; tests that need it carry `@pytest.mark.zoo`."""
    if not ZOO.is_dir():
        pytest.skip(f"no zoo models in {ZOO}: set SB3PORT_ZOO to a folder with them")
    return ZOO
