"""Returns of a port in a Gymnasium environment."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from sb3port.errors import UsageError
from sb3port.port import read_provenance
from sb3port.spaces import Box

if TYPE_CHECKING:
    from sb3port.parity.ported import Port


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted returns, one per episode.

    Args:
        env: The Gymnasium environment.
        seeds: One per episode.
        returns: Sum of the environment's own rewards.
        lengths: Steps of each episode.
    """

    env: str
    seeds: tuple[int, ...]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean return."""
        return statistics.fmean(self.returns)

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, NaN for one episode."""
        count = len(self.returns)
        return statistics.stdev(self.returns) / math.sqrt(count) if count > 1 else math.nan

    @property
    def mean_length(self) -> float:
        """Mean number of steps."""
        return statistics.fmean(self.lengths)

    def to_json(self) -> dict[str, Any]:
        """Give the evaluation as JSON values; no standard error for one episode."""
        error = None if math.isnan(self.standard_error) else self.standard_error
        episodes = zip(self.seeds, self.returns, self.lengths, strict=True)
        return {
            "env": self.env,
            "mean_return": self.mean,
            "standard_error": error,
            "mean_length": self.mean_length,
            "episodes": [{"seed": s, "return": r, "length": n} for s, r, n in episodes],
        }


def evaluate_port(
    folder: Path,
    env_id: str,
    episodes: int,
    seed: int = 0,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Evaluation:
    """Run a port, one episode per seed, with deterministic actions.

    Args:
        folder: The port.
        env_id: A Gymnasium environment id.
        episodes: How many.
        seed: Seed of the first episode.
        track: Called with the seeds when all is loaded; the episodes are those that it gives, in its time.

    Raises:
        NotPortable: The folder is not a port, or a broken one.
        UsageError: There is no such environment, or its spaces are not those of the port.
    """
    read_provenance(folder)
    env = make_env(env_id)

    import torch

    from sb3port.parity.ported import Port

    torch.set_num_threads(1)  # faster for small networks, and the same numbers on every machine
    try:
        port = Port(folder)
        _check_spaces(env, port, env_id)
        seeds = tuple(range(seed, seed + episodes))
        runs = [_run_episode(env, port, s) for s in track(seeds)]
    finally:
        env.close()
    return Evaluation(env_id, seeds, tuple(total for total, _ in runs), tuple(length for _, length in runs))


def make_env(env_id: str) -> gymnasium.Env[Any, Any]:
    """Make a Gymnasium environment.

    Raises:
        UsageError: There is none of this name, or what it needs is not installed.
    """
    gymnasium.logger.min_level = gymnasium.logger.ERROR  # what it warns of shows in what follows
    try:
        return gymnasium.make(env_id)
    except (gymnasium.error.Error, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"the environment {env_id} cannot be made: {reason}") from error


def _run_episode(env: gymnasium.Env[Any, Any], port: "Port", seed: int) -> tuple[float, int]:
    observation, _ = env.reset(seed=seed)
    port.policy.reset()
    total, length, done = 0.0, 0, False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(_act(env, port, observation))
        total, length, done = total + float(reward), length + 1, terminated or truncated
    return total, length


def _mask(env: gymnasium.Env[Any, Any], port: "Port") -> Any:
    """Ask the environment which actions are allowed, as sb3-contrib's MaskablePPO does; None for all."""
    if not port.policy.config.maskable or not env.has_wrapper_attr("action_masks"):
        return None
    return env.get_wrapper_attr("action_masks")()


def _act(env: gymnasium.Env[Any, Any], port: "Port", observation: Any) -> Any:
    """Choose an action as SB3's vector environments would see and give it.

    They store observations in the space's type, and hand discrete actions over as integers.
    """
    action = port.act(_stored(env.observation_space, observation), _mask(env, port))
    if isinstance(env.action_space, gymnasium.spaces.Discrete):
        return np.int64(action.item())
    return action.reshape(env.action_space.shape or ())


def _stored(space: gymnasium.Space[Any], observation: Any) -> Any:
    if isinstance(space, gymnasium.spaces.Dict):
        return {key: _stored(part, observation[key]) for key, part in space.spaces.items()}
    return np.asarray(observation, space.dtype)


def _check_spaces(env: gymnasium.Env[Any, Any], port: "Port", env_id: str) -> None:
    """Compare shapes and kinds: a policy for other spaces would run, and do nonsense."""
    wanted = (port.policy.config.gym_observation_space(), port.policy.config.gym_action_space())
    found = (env.observation_space, env.action_space)
    for name, want, have in zip(("observations", "actions"), wanted, found, strict=True):
        if not _is_same(want, have):
            raise UsageError(
                f"{env_id} has the {name} {_in_words(have)}, but the port was trained with {_in_words(want)}",
                "name the environment of the training, or register one that wraps it as the training did",
            )


def _is_same(want: gymnasium.Space[Any], have: gymnasium.Space[Any]) -> bool:
    """Whether spaces are alike; the keys of a Dict in any order, an image with its channels first or last."""
    if type(want) is not type(have):
        return False
    if isinstance(want, gymnasium.spaces.Dict) and isinstance(have, gymnasium.spaces.Dict):
        return set(want) <= set(have) and all(_is_same(want[key], have[key]) for key in want)
    shapes = {have.shape, _channels_first(have)}
    choices = [np.asarray(getattr(space, name, None)) for name in ("n", "nvec") for space in (want, have)]
    same = np.array_equal(choices[0], choices[1]) and np.array_equal(choices[2], choices[3])
    return want.shape in shapes and same


def _channels_first(space: gymnasium.Space[Any]) -> tuple[int, ...] | None:
    if not isinstance(space, gymnasium.spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    return (space.shape[2], *space.shape[:2])


def _in_words(space: gymnasium.Space[Any]) -> str:
    """Name a space in one line, as `inspect` does."""
    if isinstance(space, gymnasium.spaces.Box):
        return str(Box(space.shape, space.dtype.name, space.low, space.high))
    return str(space)
