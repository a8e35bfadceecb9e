"""Recording rollouts: episodes are run, and the policy is asked what it thought of what it saw."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, EnvironmentSpec, PolicySpec, short_name
from sb3port.checkpoint.spaces import Dict
from sb3port.commands.policies import ReadOptions, find_policy
from sb3port.environments.choosing import choose_environment
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.environments.making import Env, frames_per_second, make_env, open_wrapped
from sb3port.environments.recording import Recording
from sb3port.environments.rollouts import CUT, Actor, Step, observed, run_episode
from sb3port.environments.wrapping import wrapping_in
from sb3port.errors import UsageError, need
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs, plain_actions
from sb3port.ports.unchanged import change_warnings

_CHUNK = 1024  # rows that are asked about at once, so that images need no gigabytes
_ASKED = ("action", "mode", "value", "log_prob", "entropy")


class Witness(Actor, Protocol):
    """An actor that can say what it thought."""

    def outputs(self, observations: Observations, sampled: Array) -> Outputs:
        """Give what `parity.outputs` lists for a batch, and for actions as the distribution gave them."""


@dataclass(frozen=True)
class RecordOptions:
    """What to record.

    Args:
        env: A Gymnasium environment id, None for that of the training.
        seeds: One per episode.
        deterministic: Take the most likely actions instead of random ones.
        reading: How to read the policy.
        around: What the user says of the environment beside its id.
        use_masking: Have a maskable policy told which actions are allowed; False to allow it all.
        max_episode_steps: A time limit in place of the one that the environment is registered with.
    """

    env: str | None
    seeds: Sequence[int]
    deterministic: bool = True
    reading: ReadOptions = field(default_factory=ReadOptions)
    around: Around = AS_IN_TRAINING
    use_masking: bool = True
    max_episode_steps: int | None = None


Track: TypeAlias = Callable[[Sequence[int]], Iterable[int]]


def record(
    label: str | Path,
    options: RecordOptions,
    track: Track = iter,
    announce: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Run one episode per seed and keep everything.

    Args:
        label: SOURCE, for which SB3's own policy acts, or a port or a run, which acts itself.
        options: What to record.
        track: Called with the seeds when all is loaded; the episodes are those that it gives, in its time.
        announce: Called with a sentence on the checkpoint that is taken of a run.

    Raises:
        Sb3portError: With the exit code of the contract; NaN or infinite observations are a UsageError.
    """
    policy = find_policy(label, options.reading, announce)
    port = policy.port
    if port is None:
        need("sb3", "acting as SB3 does", "name a port instead of its source")
    checkpoint = policy.runnable
    chosen = choose_environment(checkpoint.environment, options.env, options.around)
    said: list[str] = []
    with closing(_environment(chosen, checkpoint.spec, options, said.append)) as env:
        actor = _actor(port, checkpoint, options.deterministic)
        who = f"{'port' if port else 'SB3'} of {short_name(checkpoint.provenance.location)}"
        recording = _recording(env, actor, chosen, (options, who, track))
        changes = change_warnings(port) if port is not None else []
        return replace(recording, warnings=(*checkpoint.warnings, *changes, *said, *recording.warnings))


def record_chance(options: RecordOptions, track: Track = iter) -> Recording:
    """Run one episode of random actions per seed and keep everything.

    Args:
        options: What to record; what concerns policies is not looked at.
        track: As for `record`.

    Raises:
        UsageError: No environment is named, or it has spaces that policies cannot have.
    """
    from sb3port.environments.chance import ChanceActor

    if options.env is None:
        raise UsageError("neither SOURCE nor --env is given", "name what acts, or where chance shall act")
    chosen = choose_environment(EnvironmentSpec(), options.env, options.around)
    limit = options.max_episode_steps
    limited = {} if limit is None else {"max_episode_steps": limit}
    with closing(open_wrapped(chosen.env_id or "", wrapping_in(chosen), **limited)) as env:
        options = replace(options, deterministic=False)
        return _recording(env, ChanceActor(env), chosen, (options, "random actions", track))


def _actor(port: Path | None, checkpoint: Checkpoint, deterministic: bool) -> Witness:
    if port is not None:
        from sb3port.inference.actor import PortActor

        return PortActor(port, checkpoint.spec, deterministic)
    from sb3port.parity.oracle.actor import Sb3Actor

    return Sb3Actor(checkpoint, deterministic)


def _environment(
    chosen: EnvironmentSpec, spec: PolicySpec, options: RecordOptions, warn: Callable[[str], None]
) -> Env:
    limit = options.max_episode_steps
    return make_env(chosen.env_id or "", spec, None, wrapping_in(chosen), limit, warn)


def _recording(
    env: Env, actor: Witness, chosen: EnvironmentSpec, job: tuple[RecordOptions, str, Track]
) -> Recording:
    options, policy, track = job
    episodes = [
        list(run_episode(env, actor, seed, finite=True, use_masking=options.use_masking))
        for seed in track(options.seeds)
    ]
    steps = [step for episode in episodes for step in episode]
    thoughts = [_thoughts(actor, episode) for episode in episodes]
    lengths = [len(episode) for episode in episodes]
    numbers, space = np.concatenate([np.arange(n) for n in lengths]), actor.spec.action_space
    assert not isinstance(space, Dict)
    return Recording(
        env=chosen.env_id or "",
        policy=policy,
        deterministic=options.deterministic,
        fps=frames_per_second(env),
        spec=actor.spec,
        seeds=tuple(options.seeds),
        observations=observed(actor.spec, steps, numbers),
        outputs={name: np.concatenate([thought[name] for thought in thoughts]) for name in thoughts[0]},
        taken=plain_actions(space, np.stack([step.action.given.reshape(space.shape) for step in steps])),
        sampled=plain_actions(space, np.stack([step.action.raw for step in steps])),
        reward=np.array([step.reward for step in steps]),
        terminated=np.array([step.terminated for step in steps]),
        truncated=np.array([step.truncated for step in steps]),
        episode=np.repeat(np.arange(len(lengths)), lengths),
        step=numbers,
        env_kwargs=chosen.env_kwargs,
        wrappers=wrapping_in(chosen).names,
        warnings=(CUT.format(chosen.env_id),) if any(step.cut for step in steps) else (),
    )


def _thoughts(actor: Witness, episode: list[Step]) -> Outputs:
    """Ask about an episode; a recurrent policy is asked about all of it at once, for its memory."""
    length = len(episode) if actor.spec.lstm_hidden_size is not None else _CHUNK
    answers = [_answer(actor, episode[i : i + length]) for i in range(0, len(episode), length)]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def _answer(actor: Witness, steps: list[Step]) -> Outputs:
    observations = observed(actor.spec, steps, np.arange(len(steps)))
    given = actor.outputs(observations, np.stack([step.action.raw for step in steps]))
    return {name: given[name] for name in _ASKED if name in given}
