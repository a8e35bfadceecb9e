"""Our training is SB3's, bit for bit: weights, optimiser, last rollout and normaliser."""

import pytest
import torch

from .cases import CASES
from .sb3 import Case, assert_same, begin_ours, run, train_sb3


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_training_is_sb3s(case: Case) -> None:
    torch.set_num_threads(1)
    assert_same(run(begin_ours(case)), train_sb3(case))
