"""EnvPool's environments, https://github.com/sail-sg/envpool: in C++, on several threads.

Its own way begins an episode one step after it ended the last. It can reset some environments alone, though,
which is what is done here, in the same step.
"""

from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.vectors import Vector, last_seen, opened
from sb3port.environments.wrapping import Wrapping
from sb3port.errors import UsageError, need

_MOST_SEEDS = 2**31


def open_pool(env_id: str, count: int, wrapping: Wrapping) -> Vector:
    """Make EnvPool's environments of this id, which has to be one of Gymnasium's as well.

    Args:
        env_id: The id.
        count: How many.
        wrapping: What goes around each; wrappers are refused.

    Raises:
        UsageError: EnvPool is not installed, has no such environment, or another one of this name.
    """
    need("envpool", "--vec-env envpool")
    import envpool

    if env_id not in envpool.list_all_envs():
        raise UsageError(f"EnvPool has no environment {env_id}", "take --vec-env dummy")
    return opened(env_id, wrapping, lambda spec: Pool(spec, count, wrapping.env_kwargs))


class Pool(VectorEnv[Any, Any, Any]):
    """A pool, which is made anew by every `reset`, because it takes its seed then.

    Args:
        spec: Of Gymnasium's environment of this id.
        count: How many environments.
        kwargs: EnvPool's arguments of the environment.
    """

    metadata = {"autoreset_mode": "SameStep"}  # noqa: RUF012 (Gymnasium's form)

    def __init__(self, spec: EnvSpec, count: int, kwargs: Any) -> None:
        import envpool

        self._id, self._kwargs, self.num_envs, self.spec = spec.id, dict(kwargs), count, deepcopy(spec)
        limit = self._kwargs.setdefault("max_episode_steps", spec.max_episode_steps)
        if limit is None:
            del self._kwargs["max_episode_steps"]
        self.spec.max_episode_steps = limit
        made = envpool.make_spec(self._id, **self._kwargs)
        self.single_observation_space, self.single_action_space = made.observation_space, made.action_space
        self.observation_space = batch_space(self.single_observation_space, count)
        self.action_space = batch_space(self.single_action_space, count)
        self._pool: Any = None

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 (Gymnasium's form)
    ) -> tuple[Any, Any]:
        """Begin the first episodes."""
        import envpool

        self.close_extras()
        given = {} if seed is None else {"seed": seed % _MOST_SEEDS}
        self._pool = envpool.make(
            self._id, env_type="gymnasium", num_envs=self.num_envs, **given, **self._kwargs
        )
        return self._pool.reset()[0], {}

    def step(self, actions: Array) -> tuple[Any, ...]:
        """Step all environments."""
        observations, rewards, terminated, truncated, _ = self._pool.step(actions)
        ended = terminated | truncated
        if not ended.any():
            return observations, rewards, terminated, truncated, {}
        info = last_seen(observations, ended)
        first, noted = self._pool.reset(np.flatnonzero(ended).astype(np.int32))
        observations = observations.copy()
        observations[noted["env_id"]] = first
        return observations, rewards, terminated, truncated, info

    def close_extras(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
