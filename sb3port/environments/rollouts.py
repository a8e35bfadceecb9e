"""Episodes: who acts, what happens at each step, how an episode runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
        success: `info["is_success"]`, None where the environment does not say it.
        cut: Whether it was cut by us, because nobody limits its length.
    """

    observation: dict[str, Array]
    mask: Array | None
    action: Action
    reward: float
    terminated: bool
    truncated: bool
    success: bool | None = None
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
    episode = Episode(env, actor.spec, seed, finite, use_masking)
    actor.reset(seed)
    while not episode.done:
        with episode.naming_faults():
            action = actor.act(episode.observation, episode.mask)
        yield episode.take(action)


class Episode:
    """One episode, from a reset of the environment with this seed until it is done, step by step.

    The arguments are those of `run_episode`, and so are the errors.

    Attributes:
        observation: What is seen now, as `environments.seen` gives it.
        mask: Which choices are allowed now, None for all.
        done: Whether it is over.
    """

    observation: dict[str, Array]
    mask: Array | None

    def __init__(
        self, env: Env, spec: PolicySpec, seed: int, finite: bool = False, use_masking: bool = True
    ) -> None:
        self._env, self._spec, self._seed, self._finite = env, spec, seed, finite
        self._masks = ActionMasks(env) if spec.maskable and use_masking else None
        self._limit = EPISODE_LENGTH if time_limit(env) is None else None
        self._number, self.done = 0, False
        self._see(*begun(env, seed))

    def take(self, action: Action) -> Step:
        """Do what was chosen for what is seen now."""
        before = self.observation, self.mask
        raw, reward, terminated, truncated, info = self._env.step(given_action(self._spec, action.given))
        self._number += 1
        ended = bool(terminated or truncated)
        cut = self._number == self._limit and not ended
        self.done = ended or cut
        if not self.done:
            self._see(raw, info)
        success = bool(info["is_success"]) if "is_success" in info else None
        return Step(*before, action, float(reward), bool(terminated), bool(truncated) or cut, success, cut)

    def _see(self, raw: Any, info: Mapping[str, Any]) -> None:
        self.observation = seen(self._spec.observation_space, raw)
        if self._finite:
            self._refuse_infinite()
        self.mask = self._masks.read(info) if self._masks else None

    @contextmanager
    def naming_faults(self) -> Iterator[None]:
        """Say what a policy could not take: SB3, which may be the actor, says it in words of torch.

        Raises:
            UsageError: The observation is NaN, or a choice that there is not.
        """
        try:
            yield
        except (ValueError, RuntimeError) as error:
            self._refuse_infinite(error)
            sizes = [size for part in _choices(self._spec, self.observation) for size in part]
            if sizes or isinstance(error, UnfitInput):
                said = error if isinstance(error, UnfitInput) else UnknownChoice(sizes)
                raise UsageError(f"{said} ({self._where})") from error
            raise

    @property
    def _where(self) -> str:
        return f"at step {self._number} of the episode with seed {self._seed}"

    def _refuse_infinite(self, error: Exception | None = None) -> None:
        if not all(np.isfinite(array).all() for array in self.observation.values()):
            raise UsageError(f"the environment gave NaN or infinite observations {self._where}") from error


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
    """In what a policy is evaluated, and how.

    Args:
        env: A Gymnasium environment id.
        seeds: One per episode.
        wrapping: What to put around the environment.
        deterministic: Take the most likely actions instead of random ones.
        n_envs: How many episodes run side by side.
        render: As `gymnasium.make` takes `render_mode`.
        use_masking: As `run_episode` takes it.
        max_episode_steps: A time limit in place of the one that it is registered with.
    """

    env: str
    seeds: Sequence[int]
    wrapping: Wrapping = PLAIN
    deterministic: bool = True
    n_envs: int = 1
    render: str | None = None
    use_masking: bool = True
    max_episode_steps: int | None = None
