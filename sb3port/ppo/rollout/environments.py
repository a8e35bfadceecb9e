"""Several environments stepped together, each beginning anew by itself, as SB3's vector environments do.

Source: `stable_baselines3/common/vec_env/dummy_vec_env.py`. Observations have the type of their space. An
observation is a dictionary of arrays `(n_envs, *shape)`: the parts of a Dict by their keys, any other
observation under "".
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.making import time_limit
from sb3port.ppo.rollout.episodes import EndedEpisode, Episodes, MakeEnv, Recording

Observations: TypeAlias = dict[str, Array]


class Step(NamedTuple):
    """What one step of all environments gave.

    Args:
        observations: What is seen next; where an episode ended, the first of the new one.
        rewards: `(n_envs,)`, float32 where environments are in this process.
        ended: The episodes that ended.
    """

    observations: Observations
    rewards: NDArray[Any]
    ended: list[EndedEpisode]


class Environments(ABC):
    """Environments of one kind, numbered from 0.

    Attributes:
        observation_space, action_space: Of each.
        time_limit: Steps after which an episode is cut, None where nobody says.
        count: How many there are.
    """

    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    time_limit: int | None
    count: int

    @abstractmethod
    def reset(self, seed: int | None) -> Observations:
        """Begin the first episodes; environment i gets the seed `seed + i`."""

    @abstractmethod
    def step(self, actions: Array) -> Step:
        """Give every environment its action, `(n_envs, ...)`."""

    @abstractmethod
    def check_masks(self) -> None:
        """Refuse environments that do not say which choices are allowed."""

    @abstractmethod
    def masks(self) -> Array:
        """Ask every environment which choices are allowed, bool `(n_envs, choices)`."""

    @abstractmethod
    def recordings(self) -> list[Recording]:
        """Give what `play` needs to come back to this point."""

    @abstractmethod
    def play(self, recordings: Sequence[Recording]) -> Observations:
        """Come back to where other environments of this kind were, and give what is seen there.

        It is empty where they cannot be brought back at all.
        """

    @abstractmethod
    def close(self) -> None:
        """Close all environments."""

    def stacked(self, rows: Iterable[Any]) -> Observations:
        """Put single observations together, in the type of the space."""
        space = self.observation_space
        if isinstance(space, spaces.Dict):
            kept = list(rows)
            return {key: _stack(part, [row[key] for row in kept]) for key, part in space.spaces.items()}
        return {"": _stack(space, rows)}


class InProcess(Environments):
    """Environments in this process, one after the other.

    Args:
        make: Makes one environment.
        count: How many.
    """

    def __init__(self, make: MakeEnv, count: int) -> None:
        self._all = [Episodes(make(), index) for index in range(count)]
        first = self._all[0].env
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.time_limit = time_limit(first)
        self.count = count

    def reset(self, seed: int | None) -> Observations:
        """Begin the first episodes; environment i gets the seed `seed + i`."""
        seeds = seeds_of(seed, self.count)
        return self.stacked([env.reset(s) for env, s in zip(self._all, seeds, strict=True)])

    def step(self, actions: Array) -> Step:
        """Step one environment after the other, with rewards rounded to float32 `(n_envs,)`."""
        rows: list[Any] = []
        ended: list[EndedEpisode] = []
        rewards = np.empty(self.count, np.float32)
        for index, env in enumerate(self._all):
            row, rewards[index], end = env.step(actions[index])
            rows.append(row)
            if end is not None:
                ended.append(end)
        return Step(self.stacked(rows), rewards, ended)

    def check_masks(self) -> None:
        """Refuse environments that do not say which choices are allowed."""
        for env in self._all:
            env.check_masks()

    def masks(self) -> Array:
        """Ask every environment which choices are allowed, bool `(n_envs, choices)`."""
        return np.stack([env.mask() for env in self._all])

    def recordings(self) -> list[Recording]:
        """Give what `play` needs to come back to this point, for each environment."""
        return [env.recording() for env in self._all]

    def play(self, recordings: Sequence[Recording]) -> Observations:
        """Play the recorded episodes again, and give what is seen at their end."""
        return self.stacked([env.play(r) for env, r in zip(self._all, recordings, strict=True)])

    def close(self) -> None:
        """Close all environments."""
        for env in self._all:
            env.close()


def seeds_of(seed: int | None, count: int) -> list[int | None]:
    """Give every environment its seed, as SB3's `VecEnv.seed` does."""
    return [None if seed is None else seed + index for index in range(count)]


def single(space: spaces.Space[Any], observation: Any, dtype: Any = None) -> Observations:
    """Give one observation as a batch of one row, in the type that the environment gave it."""
    if isinstance(space, spaces.Dict):
        return {key: np.asarray(observation[key], dtype)[None] for key in space.spaces}
    return {"": np.asarray(observation, dtype)[None]}


def _stack(space: gymnasium.Space[Any], rows: Iterable[Any]) -> Array:
    return np.asarray(rows if isinstance(rows, list) else list(rows), space.dtype)
