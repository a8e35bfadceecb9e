"""Returns of a port in a Gymnasium environment."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sb3port.environments import Env, make_env
from sb3port.readers.port import read_port
from sb3port.rollouts import Actor, run_episode
from sb3port.wrapping import PLAIN, Wrapping


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted returns, one per episode.

    Args:
        env: The Gymnasium environment.
        seeds: One per episode.
        returns: Sum of the environment's own rewards.
        lengths: Steps of each episode.
        wrappers: What was put around the environment, innermost first.
    """

    env: str
    seeds: tuple[int, ...]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    wrappers: tuple[str, ...] = ()

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
            "wrappers": list(self.wrappers),
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
    wrapping: Wrapping = PLAIN,
) -> Evaluation:
    """Run a port, one episode per seed, with deterministic actions.

    Args:
        folder: The port.
        env_id: A Gymnasium environment id.
        episodes: How many.
        seed: Seed of the first episode.
        track: Called with the seeds when all is loaded; the episodes are those that it gives, in its time.
        wrapping: What to put around the environment.

    Raises:
        NotPortable: The folder is not a port, or a broken one.
        UsageError: There is no such environment, or its spaces are not those of the port.
    """
    spec = read_port(folder).spec
    env = make_env(env_id, spec, wrapping=wrapping)
    try:
        from sb3port.actors.port import PortActor

        actor = PortActor(folder, spec)
        seeds = tuple(range(seed, seed + episodes))
        runs = [_run(env, actor, s) for s in track(seeds)]
    finally:
        env.close()
    returns, lengths = (tuple(column) for column in zip(*runs, strict=True))
    return Evaluation(env_id, seeds, returns, lengths, wrapping.names)


def _run(env: Env, actor: Actor, seed: int) -> tuple[float, int]:
    rewards = [step.reward for step in run_episode(env, actor, seed)]
    return sum(rewards), len(rewards)
