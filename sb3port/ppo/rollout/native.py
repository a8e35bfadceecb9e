"""Vector environments, which step many at once, with the statistics of their episodes as arrays."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.vectors import DISABLED, Vector, mode_of
from sb3port.errors import UsageError
from sb3port.ppo.rollout.environments import Environments, Observations, Step
from sb3port.ppo.rollout.episodes import EndedEpisode, Recording

AT_ONCE = ("vector", "envpool")
"""What `--vec-env` calls them, wherever they come from."""

_SUCCESS = "is_success"


class NativeVector(Environments):
    """A vector environment that gives the last observation of an episode beside the first of the next.

    One that has `get_state() -> dict` of plain values and arrays, and `set_state(dict) -> observations`, is
    brought back to where it was when a training is resumed; others begin their episodes anew.

    Args:
        vector: As `sb3port.environments.vectors` makes it.
    """

    def __init__(self, vector: Vector) -> None:
        self._vector = vector
        self._told_to_reset = mode_of(vector) == DISABLED
        self.observation_space, self.action_space = (
            vector.single_observation_space,
            vector.single_action_space,
        )
        self.count = vector.num_envs
        self.time_limit = None
        if vector.spec is not None:
            self.time_limit = vector.spec.kwargs.get("max_episode_steps", vector.spec.max_episode_steps)
        self._seed: int | None = None
        self._totals, self._lengths = np.zeros(self.count), np.zeros(self.count, np.int64)

    def reset(self, seed: int | None) -> Observations:
        """Begin the first episodes; what is made of the seed is the vector environment's own."""
        self._seed = random.getrandbits(31) if seed is None else seed
        self._totals[:], self._lengths[:] = 0, 0
        return self._observed(self._vector.reset(seed=self._seed)[0])

    def step(self, actions: Array) -> Step:
        """Step all environments at once, with rewards rounded to float32 `(n_envs,)`."""
        given = np.asarray(actions, self.action_space.dtype)
        observations, rewards, terminated, truncated, info = self._vector.step(given)
        self._totals += rewards
        self._lengths += 1
        over = terminated | truncated
        ended: list[EndedEpisode] = []
        if over.any():
            observations, ended = self._end(observations, over, terminated, info)
        return Step(self._observed(observations), np.asarray(rewards, np.float32), ended)

    def _end(
        self, observations: Any, over: NDArray[np.bool_], terminated: Array, info: Mapping[str, Any]
    ) -> tuple[Any, list[EndedEpisode]]:
        """Give what is seen next, and the episodes that are over."""
        last = observations if self._told_to_reset else info["final_obs"]
        infos = info.get("final_info", info)
        ended = [
            EndedEpisode(
                index,
                _row(last, index),
                not terminated[index],
                float(self._totals[index]),
                int(self._lengths[index]),
                _success(infos, index),
            )
            for index in np.flatnonzero(over).tolist()
        ]
        self._totals[over], self._lengths[over] = 0, 0
        if self._told_to_reset:
            observations, _ = self._vector.reset(options={"reset_mask": over})
        return observations, ended

    def check_masks(self) -> NoReturn:
        """Refuse to say which choices are allowed.

        Raises:
            UsageError: Always: Gymnasium has no way for vector environments to say it.
        """
        raise UsageError(
            "a vector environment does not say which actions are allowed",
            "take --vec-env dummy, or allow all actions with --no-masking",
        )

    def masks(self) -> NoReturn:
        """Refuse likewise."""
        self.check_masks()

    def recordings(self) -> list[Recording]:
        """Give the state of all environments as one recording, of those that have one."""
        if not hasattr(self._vector, "get_state"):
            return []
        state = {"vector": self._vector.get_state(), "totals": self._totals, "lengths": self._lengths}
        return [Recording(self._seed, state)]

    def play(self, recordings: Sequence[Recording]) -> Observations:
        """Come back to where other environments of this kind were; nothing is seen where that cannot be."""
        state = recordings[0].generator if recordings else None
        if state is None or not hasattr(self._vector, "set_state"):
            return {}
        self._seed = recordings[0].seed
        self._totals[:], self._lengths[:] = state["totals"], state["lengths"]
        return self._observed(self._vector.set_state(state["vector"]))

    def close(self) -> None:
        """Close the vector environment."""
        self._vector.close()

    def _observed(self, observations: Any) -> Observations:
        space = self.observation_space
        if isinstance(space, spaces.Dict):
            return {key: np.asarray(observations[key], part.dtype) for key, part in space.spaces.items()}
        return {"": np.asarray(observations, space.dtype)}


def _row(observations: Any, index: int) -> Any:
    """Give the observation of one environment, of an array of observations or a Dict of arrays."""
    if isinstance(observations, Mapping):
        return {key: np.array(part[index]) for key, part in observations.items()}
    row = observations[index]
    return row if isinstance(row, Mapping) else np.array(row)


def _success(info: Mapping[str, Any], index: int) -> bool | None:
    if _SUCCESS not in info or not info.get(f"_{_SUCCESS}", np.ones(index + 1))[index]:
        return None
    return bool(info[_SUCCESS][index])
