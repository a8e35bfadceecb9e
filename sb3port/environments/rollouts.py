"""Episodes: who acts, what happens at each step, how an episode runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.environments.making import Env, action_mask, given_action, seen
from sb3port.environments.wrapping import PLAIN, Wrapping
from sb3port.errors import UsageError
from sb3port.families.features import mask_size
from sb3port.networks.observations import Observations


@dataclass(frozen=True)
class Action:
    """An action.

    Args:
        given: What the environment is given, clipped or unscaled as SB3's `predict` does.
        raw: What the distribution gave, whose log-probability it knows; flat.
    """

    given: Array
    raw: Array


class Actor(Protocol):
    """Who acts in a rollout, one observation at a time."""

    spec: PolicySpec

    def reset(self, seed: int) -> None:
        """Begin an episode: forget the last one, and seed what is random."""

    def act(self, observation: dict[str, Array], mask: Array | None) -> Action:
        """Choose an action for what `environments.seen` gave; None for a mask allows all actions."""


@dataclass(frozen=True)
class Step:
    """One step of an episode: what was seen, what was done, and what came of it.

    Args:
        success: `info["is_success"]`, None where the environment does not say it.
    """

    observation: dict[str, Array]
    mask: Array | None
    action: Action
    reward: float
    terminated: bool
    truncated: bool
    success: bool | None = None


def run_episode(env: Env, actor: Actor, seed: int, finite: bool = False) -> Iterator[Step]:
    """Run one episode, from a reset of the environment with this seed until it is done.

    Args:
        env: The environment.
        actor: Who acts.
        seed: Of the environment, and of what is random in the actor.
        finite: Refuse NaN and infinite observations.

    Raises:
        UsageError: The environment gives such.
    """
    episode = Episode(env, actor.spec, seed, finite)
    actor.reset(seed)
    while not episode.done:
        yield episode.take(actor.act(episode.observation, episode.mask))


class Episode:
    """One episode, from a reset of the environment with this seed until it is done, step by step.

    Attributes:
        observation: What is seen now, as `environments.seen` gives it.
        mask: Which choices are allowed now, None for all.
        done: Whether it is over.
    """

    observation: dict[str, Array]
    mask: Array | None

    def __init__(self, env: Env, spec: PolicySpec, seed: int, finite: bool = False) -> None:
        self._env, self._spec, self._seed, self._finite = env, spec, seed, finite
        self._number, self.done = 0, False
        self._see(env.reset(seed=seed)[0])

    def take(self, action: Action) -> Step:
        """Do what was chosen for what is seen now."""
        seen_before = self.observation, self.mask
        raw, reward, terminated, truncated, info = self._env.step(given_action(self._spec, action.given))
        self._number, self.done = self._number + 1, bool(terminated or truncated)
        if not self.done:
            self._see(raw)
        success = bool(info["is_success"]) if "is_success" in info else None
        return Step(*seen_before, action, float(reward), bool(terminated), bool(truncated), success)

    def _see(self, raw: Any) -> None:
        self.observation = seen(self._spec.observation_space, raw)
        self.mask = action_mask(self._env, self._spec)
        if self._finite and not all(np.isfinite(array).all() for array in self.observation.values()):
            where = f"step {self._number} of the episode with seed {self._seed}"
            raise UsageError(f"the environment gave NaN or infinite observations at {where}")


def as_batch(observation: dict[str, Array], mask: Array | None) -> Observations:
    """Give one observation as a batch."""
    rows = {key: array[None] for key, array in observation.items()}
    return Observations(rows, masks=None if mask is None else mask[None])


def observed(spec: PolicySpec, steps: Sequence[Step], numbers: Array) -> Observations:
    """Give what was seen in some steps as a batch; with a memory it is one sequence, which starts from zero.

    Args:
        spec: The policy's.
        steps: Of one or more episodes.
        numbers: The index of each step in its episode.
    """
    found = {
        # As it will be read again: convolutions of images with another layout differ in the last bits.
        key: np.ascontiguousarray(np.stack([step.observation[key] for step in steps]))
        for key in steps[0].observation
    }
    if spec.maskable:
        return Observations(found, masks=np.stack(list(_masks(spec, steps))))
    if spec.lstm_hidden_size is None:
        return Observations(found)
    zeros = np.zeros((4, spec.n_lstm_layers, 1, spec.lstm_hidden_size), np.float32)
    return Observations(found, starts=numbers == 0, states=zeros)


def _masks(spec: PolicySpec, steps: Sequence[Step]) -> Iterator[Array]:
    allowed = np.ones(mask_size(spec), bool)
    yield from (allowed if step.mask is None else step.mask for step in steps)


@dataclass(frozen=True)
class Setting:
    """In what a policy is evaluated, and how.

    Args:
        env: A Gymnasium environment id.
        seeds: One per episode.
        wrapping: What to put around the environment.
        deterministic: Take the most likely actions instead of random ones.
        n_envs: How many episodes run side by side.
        render: As `gymnasium.make` takes `render_mode`.
    """

    env: str
    seeds: Sequence[int]
    wrapping: Wrapping = PLAIN
    deterministic: bool = True
    n_envs: int = 1
    render: str | None = None
