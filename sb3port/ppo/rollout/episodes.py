"""One Gymnasium environment whose episodes follow one another, and which can be brought back to where it was.

What a new process needs to bring it back is small and needs no pickle: the state of the environment's random
numbers when the episode began, and the actions since. They are played again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import gymnasium

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.masks import ActionMasks
from sb3port.environments.rollouts import begun

MakeEnv: TypeAlias = Callable[[], gymnasium.Env[Any, Any]]


@dataclass(frozen=True)
class EndedEpisode:
    """An episode that is over.

    Args:
        index: Which environment.
        observation: The last observation, which the next episode's first one replaced.
        truncated: Whether a limit ended it, and not the task.
        total: The undiscounted return.
        length: Steps.
        success: `is_success` of the last step, None where there is none.
    """

    index: int
    observation: Any
    truncated: bool
    total: float
    length: int
    success: bool | None


@dataclass
class Recording:
    """From where an environment's running episode can be played again.

    Args:
        seed: Of the environment's first episode.
        generator: State of the random numbers before the episode, None for the first one.
        actions: Those of the episode so far.
        total: Its return so far.
    """

    seed: int | None
    generator: Mapping[str, Any] | None = None
    actions: list[Any] = field(default_factory=list)
    total: float = 0.0


class Episodes:
    """An environment that starts the next episode by itself.

    Args:
        env: The environment.
        index: Its number among several.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], index: int) -> None:
        self.env, self._index = env, index
        self._recording = Recording(None)
        self._info: Mapping[str, Any] = {}

    def reset(self, seed: int | None) -> Any:
        """Begin the first episode."""
        self._recording = Recording(seed)
        return self._reset(seed)

    def step(self, action: Any) -> tuple[Any, float, EndedEpisode | None]:
        """Take a step; after the last one of an episode the observation is the first of the next."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._info = info
        recording = self._recording
        recording.actions.append(action)
        recording.total += float(reward)
        if not (terminated or truncated):
            return observation, reward, None  # type: ignore[return-value]  # any number
        ended = EndedEpisode(
            self._index,
            observation,
            bool(truncated and not terminated),
            recording.total,
            len(recording.actions),
            _success(info),
        )
        self._recording = Recording(recording.seed, self._generator())
        return self._reset(), reward, ended  # type: ignore[return-value]

    def check_masks(self) -> None:
        """Make sure that the environment says which actions are allowed.

        Raises:
            UsageError: It does not.
        """
        self._masks.check(self._info)

    def mask(self) -> Array:
        """Ask which actions are allowed, bool `(choices,)`.

        Raises:
            UsageError: The environment does not say it.
        """
        return self._masks.read(self._info)

    def recording(self) -> Recording:
        """Give what `play` needs to come back to this point; later steps do not change it."""
        now = self._recording
        return Recording(now.seed, now.generator, list(now.actions), now.total)

    def play(self, recording: Recording) -> Any:
        """Come back to a point, in a new process.

        Returns:
            The observation there. It shows whether the environment is where it was: one that draws random
            numbers from elsewhere than `np_random` is not.
        """
        observation = self._reset(recording.seed)
        if recording.generator is not None:
            self.env.unwrapped.np_random.bit_generator.state = recording.generator
            observation = self._reset()
        for action in recording.actions:
            observation, *_, self._info = self.env.step(action)
        self._recording = recording
        return observation

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _reset(self, seed: int | None = None) -> Any:
        observation, self._info = begun(self.env, seed)
        return observation

    @cached_property
    def _masks(self) -> ActionMasks:
        return ActionMasks(self.env)

    def _generator(self) -> Mapping[str, Any]:
        return self.env.unwrapped.np_random.bit_generator.state


def _success(info: Mapping[str, Any]) -> bool | None:
    return bool(info["is_success"]) if "is_success" in info else None
