"""Real checkpoints of all ages as models of SB3 in memory: they compute what those of their age did."""

from pathlib import Path

import numpy as np
import pytest

import sb3port
from sb3port.commands.policies import find_policy
from sb3port.errors import NotPortable
from sb3port.parity.observations.drawn import drawn_observations
from sb3port.parity.oracle.oracle import Oracle
from sb3port.parity.oracle.sb3_normalizer import with_frames
from tests.conformance.cases import sampled
from tests.conftest import FIXTURES
from tests.exports import REFUSED
from tests.golden.test_eras import ERAS, NAMES
from tests.golden.test_zoo import MODELS

SOURCES = [ERAS / name for name in NAMES if name not in REFUSED] + sorted(FIXTURES.iterdir())


def computes_the_same(source: Path) -> None:
    """Hold everything that the model computes against the oracle, bit for bit."""
    checkpoint = find_policy(source).checkpoint
    loaded = sb3port.load_model(source, device="cpu")
    oracle, model = Oracle(checkpoint), Oracle(checkpoint)
    model.policy = loaded.model.policy
    model.policy.set_training_mode(False)
    assert (loaded.vec_normalize is None) == (checkpoint.normalizer is None)
    if loaded.vec_normalize is not None and oracle.normalizer is not None:
        model.normalizer = with_frames(loaded.vec_normalize, checkpoint.spec, checkpoint.normalizer)
    observations = next(drawn_observations(checkpoint.spec, checkpoint.normalizer).batches())
    actions = oracle.sample(observations)
    assert np.array_equal(model.sample(observations), actions, equal_nan=True)
    expected, found = (one.outputs(observations, actions) for one in (oracle, model))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert np.asarray(value).tobytes() == np.asarray(found[name]).tobytes(), name
    assert loaded.model.num_timesteps == checkpoint.training.hyperparameters["num_timesteps"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("source", sampled(SOURCES, 4), ids=lambda path: "/".join(path.parts[-2:]))
def test_fixtures(source: Path) -> None:
    computes_the_same(source)


@pytest.mark.zoo
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_zoo_models(name: str, zoo: Path) -> None:
    computes_the_same(zoo / name)


@pytest.mark.parametrize("name", REFUSED)
def test_what_todays_sb3_cannot_compute_is_said(name: str) -> None:
    with pytest.raises(NotPortable, match=REFUSED[name]):
        sb3port.load_model(ERAS / name)
