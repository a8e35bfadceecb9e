"""From observations of environments to the rows that the first layer reads, with SB3's numbers."""

from collections.abc import Callable

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Simple, parts
from sb3port.inference.observations import encoder
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
    encode = encoder(space)
    return lambda rows: np.ascontiguousarray(encode(rows.reshape(len(rows), -1)), np.float32)
