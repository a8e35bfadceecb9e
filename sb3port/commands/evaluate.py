"""Returns of a port in a Gymnasium environment."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint, PolicySpec
from sb3port.environments.making import Env, make_env
from sb3port.environments.rollouts import CUT, Actor, Setting, run_episode
from sb3port.ports.reading import read_port


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted returns, one per episode.

    Args:
        env: The Gymnasium environment.
        seeds: One per episode.
        returns: Sum of the environment's own rewards.
        lengths: Steps of each episode.
        wrappers: What was put around the environment, innermost first.
        warnings: Sentences on what is not as it was in the training, and on episodes that were cut.
    """

    env: str
    seeds: tuple[int, ...]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    wrappers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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


Track: TypeAlias = Callable[[Sequence[int]], Iterable[int]]


def evaluate_port(folder: Path, setting: Setting, track: Track = iter) -> Evaluation:
    """Run a port, one episode per seed.

    Args:
        folder: The port.
        setting: In what.
        track: Called with the seeds when all is loaded; the episodes are those that it gives, in its time.

    Raises:
        NotPortable: The folder is not a port, or a broken one.
        UsageError: There is no such environment, or its spaces are not those of the port.
    """
    spec = read_port(folder).spec

    def load() -> Actor:
        from sb3port.inference.actor import PortActor

        return PortActor(folder, spec)

    return _evaluate(spec, load, setting, track)


def evaluate_sb3(checkpoint: Checkpoint, setting: Setting, track: Track = iter) -> Evaluation:
    """Run SB3's own policy of a checkpoint in the same way.

    Raises:
        UsageError: There is no such environment, or its spaces are not those of the checkpoint.
    """

    def load() -> Actor:
        from sb3port.parity.oracle.actor import Sb3Actor

        return Sb3Actor(checkpoint)

    return _evaluate(checkpoint.spec, load, setting, track)


def film_port(folder: Path, setting: Setting, path: Path, force: bool = False) -> int:
    """Film a port's episode of the first seed; see `video.film`."""
    from sb3port.environments.video import film
    from sb3port.inference.actor import PortActor

    return film(PortActor(folder, read_port(folder).spec), setting, path, force)


def _evaluate(spec: PolicySpec, load: Callable[[], Actor], setting: Setting, track: Track) -> Evaluation:
    """Run who acts, which takes long to load, in an environment that fits."""
    said: list[str] = []
    env = make_env(setting.env, spec, None, setting.wrapping, setting.max_episode_steps, said.append)
    with closing(env):
        actor = load()
        runs = [list(_rewards(env, actor, seed, setting)) for seed in track(setting.seeds)]
    returns = tuple(sum(reward for reward, _ in run) for run in runs)
    said += [CUT.format(setting.env)] if any(run[-1][1] for run in runs) else []
    lengths = tuple(map(len, runs))
    return Evaluation(
        setting.env, tuple(setting.seeds), returns, lengths, setting.wrapping.names, tuple(said)
    )


def _rewards(env: Env, actor: Actor, seed: int, setting: Setting) -> Iterator[tuple[float, bool]]:
    """Give the reward of each step of an episode, and whether it was cut there."""
    for step in run_episode(env, actor, seed, use_masking=setting.use_masking):
        yield step.reward, step.cut
