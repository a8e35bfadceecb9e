"""Returns of a port in a Gymnasium environment."""

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from sb3port.checkpoint.checkpoint import Checkpoint, PolicySpec
from sb3port.commands.policies import ReadOptions, as_port, find_policy
from sb3port.environments.choosing import choose_environment
from sb3port.environments.given import Around
from sb3port.environments.making import Env, make_env
from sb3port.environments.rollouts import CUT, Actor, Setting, Step, run_episode
from sb3port.environments.together import run_together
from sb3port.environments.wrapping import wrapping_in
from sb3port.files.port_files import CONFIG_FILE, WEIGHTS_FILE
from sb3port.ports.manifest import hash_files
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
        env_kwargs: Arguments of the environment.
        successes: `info["is_success"]` at the end of each episode, None where the environment says nothing.
        deterministic: Whether the most likely actions were taken.
        warnings: Sentences on what is not as it was in the training, and on episodes that were cut.
    """

    env: str
    seeds: tuple[int, ...]
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    wrappers: tuple[str, ...] = ()
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    successes: tuple[bool | None, ...] = ()
    deterministic: bool = True
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
    def std(self) -> float:
        """Standard deviation of the returns, as SB3's `evaluate_policy` has it: that of the population."""
        return statistics.pstdev(self.returns)

    @property
    def success_rate(self) -> float | None:
        """Share of the episodes that the environment calls a success, None where it says that of none."""
        known = [success for success in self.successes if success is not None]
        return statistics.fmean(known) if known else None

    @property
    def mean_length(self) -> float:
        """Mean number of steps."""
        return statistics.fmean(self.lengths)

    def to_json(self) -> dict[str, Any]:
        """Give the evaluation as JSON values; no standard error for one episode."""
        error = None if math.isnan(self.standard_error) else self.standard_error
        successes = self.successes or (None,) * len(self.seeds)
        episodes = zip(self.seeds, self.returns, self.lengths, successes, strict=True)
        return {
            "env": self.env,
            "env_kwargs": dict(self.env_kwargs),
            "wrappers": list(self.wrappers),
            "deterministic": self.deterministic,
            "mean_return": self.mean,
            "standard_error": error,
            "standard_deviation": self.std,
            "success_rate": self.success_rate,
            "mean_length": self.mean_length,
            "episodes": [
                {"seed": seed, "return": value, "length": length}
                | ({} if success is None else {"success": success})
                for seed, value, length, success in episodes
            ],
        }


class _Moment(NamedTuple):
    """What is kept of a step, of which there may be many, with large observations."""

    reward: float
    success: bool | None
    cut: bool


Track: TypeAlias = Callable[[Sequence[int]], Iterable[int]]


def evaluate(
    label: str | Path, env: str | None, around: Around, seeds: Sequence[int], reading: ReadOptions, **how: Any
) -> Evaluation:
    """Run a policy in the environment that the user says, or else that of its training.

    Args:
        label: A port, a run, or a SOURCE, as `find_policy` takes it.
        env: The environment's id, None for that of the training.
        around: What the user says of it beside that.
        seeds: One per episode.
        reading: How to read it.
        how: Other fields of `Setting`.

    Raises:
        Sb3portError: It cannot be read, or the environment is not one for it.
    """
    policy = find_policy(label, reading)
    chosen = choose_environment(policy.runnable.environment, env, around)
    with as_port(policy) as folder:
        return evaluate_port(folder, Setting(chosen.env_id or "", seeds, wrapping_in(chosen), **how))


def evaluate_port(folder: Path, setting: Setting, track: Track = iter) -> Evaluation:
    """Run a port, one episode per seed.

    Args:
        folder: The port.
        setting: In what, and how.
        track: Called with the seeds when all is loaded; the episodes are those that it gives, in its time.

    Raises:
        NotPortable: The folder is not a port, or a broken one.
        UsageError: There is no such environment, or its spaces are not those of the port.
    """
    spec = read_port(folder).spec
    with _environments(setting, spec) as (envs, said):
        from sb3port.inference.actor import PortActor, PortCrowd

        if setting.n_envs == 1:
            actor = PortActor(folder, spec, setting.deterministic)
            return _evaluation(setting, _in_turn(actor, envs[0], setting, track), said)
        crowd = PortCrowd(folder, spec, setting.deterministic)
        runs: dict[int, list[_Moment]] = {seed: [] for seed in setting.seeds}
        finished = iter(track(setting.seeds))
        for seed, step in run_together(envs, crowd, setting.seeds, setting.use_masking):
            runs[seed].append(_moment(step))
            if step.terminated or step.truncated:
                next(finished, None)
        return _evaluation(setting, list(runs.values()), said)


def identity_of(name: str, folder: Path) -> dict[str, Any]:
    """Say which port was run, in the form of parity reports."""
    return {"name": name, "files": hash_files(folder, (CONFIG_FILE, WEIGHTS_FILE))}


def evaluate_sb3(checkpoint: Checkpoint, setting: Setting, track: Track = iter) -> Evaluation:
    """Run SB3's own policy of a checkpoint in the same way, one episode after the other.

    Raises:
        UsageError: There is no such environment, or its spaces are not those of the checkpoint.
    """
    setting = replace(setting, n_envs=1, render=None)
    with _environments(setting, checkpoint.spec) as (envs, said):
        from sb3port.parity.oracle.actor import Sb3Actor

        actor = Sb3Actor(checkpoint, setting.deterministic)
        return _evaluation(setting, _in_turn(actor, envs[0], setting, track), said)


def film_port(folder: Path, setting: Setting, path: Path, force: bool = False) -> int:
    """Film a port's episode of the first seed; see `video.film`."""
    from sb3port.environments.video import film
    from sb3port.inference.actor import PortActor

    return film(PortActor(folder, read_port(folder).spec, setting.deterministic), setting, path, force)


@contextmanager
def _environments(setting: Setting, spec: PolicySpec) -> Iterator[tuple[list[Env], list[str]]]:
    """Make environments, which are closed in the end, and list what is not as it was in the training."""
    said: dict[str, None] = {}
    limit, wrapping = setting.max_episode_steps, setting.wrapping
    with ExitStack() as stack:
        made = []
        for _ in range(setting.n_envs):
            env = make_env(setting.env, spec, setting.render, wrapping, limit, said.setdefault)
            stack.callback(env.close)
            made.append(env)
        yield made, list(said)


def _in_turn(actor: Actor, env: Env, setting: Setting, track: Track) -> list[list[_Moment]]:
    masking = setting.use_masking
    episodes = (run_episode(env, actor, seed, use_masking=masking) for seed in track(setting.seeds))
    return [list(map(_moment, episode)) for episode in episodes]


def _moment(step: Step) -> _Moment:
    return _Moment(step.reward, step.success, step.cut)


def _evaluation(setting: Setting, runs: list[list[_Moment]], said: list[str]) -> Evaluation:
    cut = [CUT.format(setting.env)] if any(run[-1].cut for run in runs) else []
    return Evaluation(
        setting.env,
        tuple(setting.seeds),
        tuple(sum(moment.reward for moment in run) for run in runs),
        tuple(map(len, runs)),
        setting.wrapping.names,
        setting.wrapping.env_kwargs,
        tuple(run[-1].success for run in runs),
        setting.deterministic,
        (*said, *cut),
    )
