"""From what networks give to actions for the environment, as SB3's `predict` makes them."""

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict
from sb3port.errors import NoAction


class ActionWriter:
    """Gives actions the shape of their space, and those of a Box its bounds.

    Args:
        spec: The policy's.
    """

    def __init__(self, spec: PolicySpec) -> None:
        space = spec.action_space
        assert not isinstance(space, Dict)
        self._shape = (-1, *space.shape)
        # With the shape of a batch of one: for one action numpy has nothing to broadcast.
        self._bounds = (space.low[None], space.high[None]) if isinstance(space, Box) else None
        self._unscale = spec.squash_output

    def __call__(self, raw: Array) -> Array:
        """Clip or unscale n actions; numpy's rules decide on the type, as for SB3."""
        actions = raw.reshape(self._shape)
        if self._bounds is None:
            return actions
        low, high = self._bounds
        if self._unscale:
            scaled: Array = low + (0.5 * (actions + 1.0) * (high - low))
            return scaled
        return actions.clip(low, high)


def refuse_nan(outputs: Array) -> None:
    """Refuse what `action_net` gives where it is no number, as SB3's distributions do.

    Raises:
        NoAction: There is NaN.
    """
    total = np.add.reduce(outputs, axis=None)  # one number to look at, which is NaN if any is
    if np.isnan(total) and np.isnan(outputs).any():
        raise NoAction
