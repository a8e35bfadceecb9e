"""From observations of environments to the rows that the first layer reads, with SB3's numbers."""

from collections.abc import Callable

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, parts
from sb3port.errors import UnknownChoice
from sb3port.ppo.engines.fast.layout import Floats
from sb3port.ppo.rollout.environments import Observations


class Features:
    """Encodes observations, and puts the parts of a Dict side by side.

    Args:
        spec: A policy whose features are its observations.
    """

    def __init__(self, spec: PolicySpec) -> None:
        self._encoders = {key: _encoder(part) for key, part in parts(spec.observation_space).items()}
        self._only = self._encoders.get("")

    def __call__(self, observations: Observations) -> Floats:
        """Give float32 rows `(B, features)`.

        Raises:
            UnknownChoice: A choice among the observations is none of its space.
        """
        if self._only is not None:
            return self._only(observations[""])
        return np.concatenate([encode(observations[key]) for key, encode in self._encoders.items()], axis=1)


def _encoder(space: Simple) -> Callable[[Array], Floats]:
    match space:
        case Discrete(n):
            return lambda rows: _one_hot(rows.reshape(-1, 1), [n])
        case MultiDiscrete(nvec):
            sizes = nvec.tolist()
            return lambda rows: _one_hot(rows.reshape(len(rows), -1), sizes)
        case Box() | MultiBinary():
            return lambda rows: np.ascontiguousarray(rows.reshape(len(rows), -1), np.float32)


def _one_hot(rows: Array, sizes: list[int]) -> Floats:
    columns = rows.astype(np.int64).T
    if any(((column < 0) | (column >= size)).any() for column, size in zip(columns, sizes, strict=True)):
        raise UnknownChoice(sizes)
    return np.concatenate([_unit(size)[c] for c, size in zip(columns, sizes, strict=True)], axis=1)


def _unit(size: int) -> Floats:
    return np.eye(size, dtype=np.float32)
