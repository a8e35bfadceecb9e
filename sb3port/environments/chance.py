"""Nobody in a rollout: actions are drawn from the action space."""

from typing import Any

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.fresh_spec import fresh_spec
from sb3port.environments.rollouts import Action
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs


class ChanceActor:
    """Random actions, uniform where the action space has bounds.

    Args:
        env: The environment; its spaces are those of the spec.

    Raises:
        UsageError: No policy of SB3's has these spaces.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self.spec = fresh_spec("ppo", None, env.observation_space, env.action_space, False, {})
        self._space = env.action_space

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self._space.seed(seed)

    def act(self, observation: dict[str, Array], mask: Array | None) -> Action:  # noqa: ARG002 (an Actor's)
        """Draw an action."""
        drawn = np.asarray(self._space.sample())
        return Action(drawn, drawn.reshape(-1) if drawn.ndim else drawn)

    def outputs(self, observations: Observations, sampled: Array) -> Outputs:  # noqa: ARG002 (a Witness's)
        """Chance thinks nothing."""
        return {}
