"""Episodes: who acts, what happens at each step, how an episode runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

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
    """One step of an episode: what was seen, what was done, and what came of it."""

    observation: dict[str, Array]
    mask: Array | None
    action: Action
    reward: float
    terminated: bool
    truncated: bool


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
    raw, _ = env.reset(seed=seed)
    actor.reset(seed)
    done, number = False, 0
    while not done:
        observation, mask = seen(actor.spec.observation_space, raw), action_mask(env, actor.spec)
        if finite and not all(np.isfinite(array).all() for array in observation.values()):
            where = f"step {number} of the episode with seed {seed}"
            raise UsageError(f"the environment gave NaN or infinite observations at {where}")
        action = actor.act(observation, mask)
        raw, reward, terminated, truncated, _ = env.step(given_action(actor.spec, action.given))
        yield Step(observation, mask, action, float(reward), bool(terminated), bool(truncated))
        done, number = terminated or truncated, number + 1


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
    """In what a policy is evaluated, deterministically.

    Args:
        env: A Gymnasium environment id.
        seeds: One per episode.
        wrapping: What to put around the environment.
    """

    env: str
    seeds: Sequence[int]
    wrapping: Wrapping = PLAIN
