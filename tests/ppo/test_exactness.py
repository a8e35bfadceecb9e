"""Our training is SB3's, bit for bit: weights, optimiser, last rollout and normaliser."""

import pytest
import torch

from .cases import CASES
from .sb3 import Case, assert_same, begin_ours, run, train_sb3

# What others show in less time is left to `make thorough`.
_LONG = ("Pendulum, in processes", "MountainCarContinuous", "Hopper", "recurrent, normalised", "image, apart")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.thorough] if name in _LONG else [])
        for name, case in CASES.items()
    ],
)
def test_training_is_sb3s(case: Case) -> None:
    torch.set_num_threads(1)
    assert_same(run(begin_ours(case)), train_sb3(case))
