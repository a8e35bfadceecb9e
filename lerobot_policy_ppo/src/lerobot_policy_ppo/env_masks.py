"""Where a Gymnasium environment says which actions are allowed, as MaskablePPO needs it."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sb3port.families.features import choices
from sb3port.networks.gymnasium_spaces import space_of

_METHOD, _INFO = "action_masks", "action_mask"


class ActionMasks:
    """The masks of an environment: from its method `action_masks()`, as sb3-contrib has it, or from `info`.

    An environment with neither has no masks; it is reset once to see that.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._method: Callable[[], Any] | None = None
        self.available = not isinstance(env.action_space, spaces.Box)  # only choices have masks
        if self.available and env.has_wrapper_attr(_METHOD):
            self._method = env.get_wrapper_attr(_METHOD)
        elif self.available:
            self.available = env.reset()[1].get(_INFO) is not None
        self._size = choices(space_of(env.action_space)) if self.available else 0

    def read(self, info: dict[str, Any], done: bool) -> NDArray[np.int8] | None:
        """The mask for the current observation, 1 where a choice is allowed; None without masks.

        Args:
            info: What `reset` or `step` gave.
            done: Whether the episode is over, so that no action follows: then all are allowed.
        """
        if not self.available:
            return None
        mask = None if done else self._method() if self._method else info.get(_INFO)
        return (
            np.ones(self._size, np.int8)
            if mask is None
            else np.asarray(mask, bool).reshape(-1).astype(np.int8)
        )
