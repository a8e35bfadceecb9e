"""Where an environment says which actions are allowed, as MaskablePPO needs it: one rule for everyone.

Its method `action_masks()` says it, as in sb3-contrib (`sb3_contrib/common/maskable/utils.py`), else
`info["action_mask"]` of each reset and step. sb3-contrib refuses to train or to evaluate a policy in an
environment without masks unless it is told `use_masking=False`, and so do we.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import UsageError
from sb3port.families.features import choices
from sb3port.networks.gymnasium_spaces import space_of

_METHOD, _INFO = "action_masks", "action_mask"


class ActionMasks:
    """The masks of an environment.

    Args:
        env: The environment; its actions are choices.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self._method = env.get_wrapper_attr(_METHOD) if env.has_wrapper_attr(_METHOD) else None
        self._size = choices(space_of(env.action_space))

    def are_there(self, info: Mapping[str, Any]) -> bool:
        """Whether the environment says what is allowed; a method is not called for that.

        Args:
            info: What its last `reset` or `step` gave.
        """
        return callable(self._method) or info.get(_INFO) is not None

    def check(self, info: Mapping[str, Any]) -> None:
        """Refuse an environment that does not say it; see `are_there`.

        Raises:
            UsageError: It does not.
        """
        if not self.are_there(info):
            raise UsageError(
                "the environment does not say which actions are allowed, which the policy was trained to be "
                f'told: it has no method {_METHOD}(), and its info has no "{_INFO}"',
                "wrap it in sb3-contrib's ActionMasker, or allow all actions with --no-masking",
            )

    def read(self, info: Mapping[str, Any]) -> Array:
        """Give the mask of the present observation, bool `(choices,)`.

        Args:
            info: What the last `reset` or `step` gave.

        Raises:
            UsageError: There is none, or it is not one for these actions.
        """
        self.check(info)
        mask = self._method() if callable(self._method) else info[_INFO]
        try:
            allowed = np.asarray(mask, bool).reshape(-1)
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"the environment gives a mask of actions that is none: {mask!r:.200}"
            ) from error
        if allowed.size != self._size:
            raise UsageError(
                f"the environment gives a mask of {allowed.size} actions, but there are {self._size} choices"
            )
        return allowed

    def all_allowed(self) -> Array:
        """Give the mask that forbids nothing."""
        return np.ones(self._size, bool)
