"""Episodes: who acts, what happens at each step, how an episode runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Discrete, MultiDiscrete, parts
from sb3port.environments.making import EPISODE_LENGTH, Env, given_action, seen, time_limit
from sb3port.environments.masks import ActionMasks
from sb3port.environments.wrapping import PLAIN, Wrapping
from sb3port.errors import UnfitInput, UnknownChoice, UsageError
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
        observation: As `making.seen` gives it.
        mask: Which choices were allowed, None for all.
        action: What was done.
        reward: The environment's own.
        terminated, truncated: Whether the episode ended with it, and how.
        cut: Whether it was cut by us, because nobody limits its length.
    """

    observation: dict[str, Array]
    mask: Array | None
    action: Action
    reward: float
    terminated: bool
    truncated: bool
    cut: bool = False


def run_episode(
    env: Env, actor: Actor, seed: int, finite: bool = False, use_masking: bool = True
) -> Iterator[Step]:
    """Run one episode, from a reset of the environment with this seed until it is done.

    Where nothing limits its length it is cut after `making.EPISODE_LENGTH` steps.

    Args:
        env: The environment.
        actor: Who acts.
        seed: Of the environment, and of what is random in the actor.
        finite: Refuse NaN and infinite observations, also where the actor could act on them.
        use_masking: Have a maskable policy told which actions are allowed; False to allow it all.

    Raises:
        UsageError: The environment gives observations of another space, NaN where the policy can do nothing
            with it, or no masks.
    """
    masks = ActionMasks(env) if actor.spec.maskable and use_masking else None
    unlimited = time_limit(env) is None
    raw, info = begun(env, seed)
    actor.reset(seed)
    done, number = False, 0
    while not done:
        where = f"at step {number} of the episode with seed {seed}"
        observation = seen(actor.spec.observation_space, raw)
        if finite and not _is_finite(observation):
            raise UsageError(f"the environment gave NaN or infinite observations {where}")
        mask = masks.read(info) if masks else None
        action = _chosen(actor, observation, mask, where)
        raw, reward, terminated, truncated, info = env.step(given_action(actor.spec, action.given))
        done, number = bool(terminated or truncated), number + 1
        cut = unlimited and number >= EPISODE_LENGTH and not done
        yield Step(observation, mask, action, float(reward), bool(terminated), bool(truncated) or cut, cut)
        done = done or cut


def begun(env: Env, seed: int | None) -> tuple[Any, Mapping[str, Any]]:
    """Reset an environment, and give its first observation and info.

    Raises:
        UsageError: It gives an observation alone, as Gym's did before 0.26.
    """
    found: Any = env.reset(seed=seed)
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], Mapping):
        raise UsageError(
            "the environment's reset() gives no tuple (observation, info), as those of Gymnasium do",
            "return an info beside the observation, which may be {}",
        )
    return found


def _is_finite(observation: dict[str, Array]) -> bool:
    return all(np.isfinite(array).all() for array in observation.values())


def _chosen(actor: Actor, observation: dict[str, Array], mask: Array | None, where: str) -> Action:
    """Ask for an action; SB3, which may be the actor, refuses what it cannot take in words of torch."""
    try:
        return actor.act(observation, mask)
    except (ValueError, RuntimeError) as error:
        if not _is_finite(observation):
            raise UsageError(f"the environment gave NaN or infinite observations {where}") from error
        sizes = [size for part in _choices(actor.spec, observation) for size in part]
        if sizes or isinstance(error, UnfitInput):
            said = error if isinstance(error, UnfitInput) else UnknownChoice(sizes)
            raise UsageError(f"{said} ({where})") from error
        raise


def _choices(spec: PolicySpec, observation: dict[str, Array]) -> Iterator[list[int]]:
    """Give how many choices there are, where an observation holds one beyond them."""
    for key, part in parts(spec.observation_space).items():
        if isinstance(part, Discrete | MultiDiscrete):
            sizes = np.atleast_1d(part.n if isinstance(part, Discrete) else part.nvec)
            if np.any((observation[key] < 0) | (observation[key] >= sizes)):
                yield sizes.tolist()


CUT = (
    f"{{}} has no time limit, so that its episodes were cut after {EPISODE_LENGTH} steps; "
    "--max-episode-steps N of eval and record allows more"
)
"""What to say of an environment whose episodes were cut."""


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
    masks = np.stack(list(_masks(spec, steps))) if spec.maskable else None
    if spec.lstm_hidden_size is None:
        return Observations(found, masks=masks)
    zeros = np.zeros((4, spec.n_lstm_layers, 1, spec.lstm_hidden_size), np.float32)
    return Observations(found, masks=masks, starts=numbers == 0, states=zeros)


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
        use_masking: As `run_episode` takes it.
        max_episode_steps: A time limit in place of the one that it is registered with.
    """

    env: str
    seeds: Sequence[int]
    wrapping: Wrapping = PLAIN
    use_masking: bool = True
    max_episode_steps: int | None = None
