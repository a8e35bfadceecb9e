"""The oracle's own noise, and its random numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sb3port.checkpoint.spaces import Box
from sb3port.commands.policies import read_policy
from sb3port.parity.observations.drawn import drawn_observations
from sb3port.parity.oracle.noise import NoiseMeter
from sb3port.parity.oracle.oracle import Oracle
from tests.conformance.building import saved
from tests.conformance.cases import CASES


def test_noise_of_actions_is_that_of_what_the_environment_gets(tmp_path: Path) -> None:
    saved(CASES["ppo-gsde-squashed"], tmp_path / "model")
    checkpoint = read_policy(tmp_path / "model")
    noises = []
    for scale in (1.0, 1000.0):
        space = checkpoint.spec.action_space
        assert isinstance(space, Box)
        wide = Box(space.shape, space.dtype, space.low * np.float32(scale), space.high * np.float32(scale))
        oracle = Oracle(replace(checkpoint, spec=replace(checkpoint.spec, action_space=wide)))
        (batch,) = drawn_observations(checkpoint.spec, checkpoint.normalizer).batches()
        sample = oracle.sample(batch)
        outputs = {**oracle.outputs(batch, sample), "sample": sample}
        noises.append(NoiseMeter(oracle).measure(batch, outputs, sample))
    assert noises[1]["action"] > 100 * noises[0]["action"] > 0
    # The random numbers of a sample are the same in float64, or this would be of the size of actions.
    assert 0 < noises[0]["sample"] < 1e-5


def test_samples_leave_the_random_numbers_alone(pendulum: Path) -> None:
    checkpoint = read_policy(pendulum)
    oracle = Oracle(checkpoint)
    (batch,) = drawn_observations(checkpoint.spec, checkpoint.normalizer).batches()
    torch.manual_seed(7)
    first, state = oracle.sample(batch), torch.get_rng_state()
    torch.manual_seed(7)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(8)
    assert np.array_equal(first, oracle.sample(batch))
    assert len(np.unique(first)) == first.size
