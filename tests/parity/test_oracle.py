"""The oracle's own noise, and the observations on which it is asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sb3port.checkpoint import Normalizer, RunningMeanStd
from sb3port.conversion import read
from sb3port.errors import NotPortable
from sb3port.parity.observations import recorded_observations, sampled_observations
from sb3port.parity.oracle import Oracle
from sb3port.readers.source import SourceOptions
from sb3port.spaces import Box
from tests.conformance.test_conformance import CASES, saved

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"


def test_noise_of_actions_is_that_of_what_the_environment_gets(tmp_path: Path) -> None:
    saved(CASES["ppo-gsde-squashed"], tmp_path / "model")
    checkpoint = read(str(tmp_path / "model"), SourceOptions())
    noises = []
    for scale in (1.0, 1000.0):
        space = checkpoint.spec.action_space
        assert isinstance(space, Box)
        wide = Box(space.shape, space.dtype, space.low * np.float32(scale), space.high * np.float32(scale))
        oracle = Oracle(replace(checkpoint, spec=replace(checkpoint.spec, action_space=wide)))
        observations = sampled_observations(checkpoint.spec, checkpoint.normalizer)
        sampled = oracle.sample(observations)
        noises.append(oracle.noise(observations, oracle.outputs(observations, sampled), sampled)["action"])
    assert noises[1] > 100 * noises[0] > 0


@pytest.mark.parametrize("normalised", [True, False])
def test_drawn_observations_are_in_the_space(normalised: bool) -> None:
    spec = read(str(FIXTURES / "ppo-Pendulum-v1"), SourceOptions()).spec
    wide = Normalizer(RunningMeanStd(np.zeros(3), np.full(3, 100.0), 1.0), None)
    values = sampled_observations(spec, wide if normalised else None).values
    space = spec.observation_space
    assert isinstance(space, Box)
    assert values.dtype == np.float32
    assert ((values >= space.low) & (values <= space.high)).all()
    assert len(np.unique(values[:, 0])) > (1 if normalised else 200)


OBSERVATIONS = np.zeros((4, 3), np.float32)
DAMAGE = {
    "no observations": {"value": np.zeros(4)},
    "another shape": {"observation": np.zeros((4, 2))},
    "none at all": {"observation": np.zeros((0, 3))},
    "words": {"observation": np.array([["a", "b", "c"]])},
    "no numbers": {"observation": OBSERVATIONS * np.nan},
    "rows missing": {"observation": OBSERVATIONS, "value": np.zeros(3)},
    "actions of another shape": {"observation": OBSERVATIONS, "sampled_action": np.zeros((4, 2))},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_recorded_outputs_that_do_not_fit_are_refused(name: str, tmp_path: Path) -> None:
    spec = read(str(FIXTURES / "ppo-Pendulum-v1"), SourceOptions()).spec
    np.savez(tmp_path / "reference.npz", **DAMAGE[name])
    with pytest.raises(NotPortable, match=r"reference\.npz"):
        recorded_observations(tmp_path / "reference.npz", spec)
    whole = (FIXTURES / "ppo-Pendulum-v1" / "reference.npz").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 30):
        (tmp_path / "reference.npz").write_bytes(whole[:length])
        with pytest.raises(NotPortable, match=r"reference\.npz"):
            recorded_observations(tmp_path / "reference.npz", spec)
