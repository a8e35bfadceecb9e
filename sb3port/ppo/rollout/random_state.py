"""All random numbers that training draws: Python's, NumPy's and torch's."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array


@dataclass(frozen=True)
class RandomState:
    """The states of the generators.

    Args:
        python: Of `random`, as JSON values.
        numpy: Of `numpy.random`, as JSON values.
        torch: uint8, of torch on the CPU.
        cuda: uint8, of torch on the GPU that is used, None without one.
    """

    python: Any
    numpy: Any
    torch: Array
    cuda: Array | None = None


def set_seed(seed: int | None) -> None:
    """Seed them all, as `stable_baselines3.common.utils.set_random_seed` does."""
    if seed is None:
        return
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def read_random_state() -> RandomState:
    """Give the states as they are."""
    version, numbers, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return RandomState(
        [version, list(numbers), gauss],
        [name, np.asarray(keys).tolist(), *rest],
        torch.get_rng_state().numpy(),
        torch.cuda.get_rng_state().numpy() if in_use else None,
    )


def set_random_state(state: RandomState) -> None:
    """Put the generators into a state."""
    version, numbers, gauss = state.python
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state.numpy
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(torch.from_numpy(np.array(state.torch)))
    if state.cuda is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.from_numpy(np.array(state.cuda)))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put the generators back afterwards."""
    before = read_random_state()
    try:
        yield
    finally:
        set_random_state(before)
