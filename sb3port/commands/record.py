"""Recording rollouts: episodes are run, and the policy is asked what it thought of what it saw."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, EnvironmentSpec, short_name
from sb3port.checkpoint.spaces import Dict
from sb3port.commands.convert import read_anything
from sb3port.commands.own_code import use_extractor
from sb3port.environments.making import Env, frames_per_second, make_env, open_wrapped
from sb3port.environments.recording import Recording
from sb3port.environments.rollouts import CUT, Actor, Step, observed, run_episode
from sb3port.environments.wrapping import env_id_of, wrapping_of
from sb3port.errors import UsageError, need
from sb3port.networks.observations import Observations
from sb3port.networks.outputs import Outputs, plain_actions
from sb3port.ports.unchanged import change_warnings
from sb3port.readers.places.source import SourceOptions

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
        source: What narrows the source down.
        use_stats: False to leave VecNormalize statistics out.
        assume_standard_forward: Take a policy class of the author's own for SB3's where its tensors are.
        extractor: `module:Class` of a features extractor whose code is the user's own.
        wrappers: `module:Class` of the user's, in place of the wrappers of the training.
        wrap: False to leave out arguments and wrappers that the environment had in training.
        sandbox: Whether a process with limits reads it; None for that where files come from the Hub.
        use_masking: Have a maskable policy told which actions are allowed; False to allow it all.
        max_episode_steps: A time limit in place of the one that the environment is registered with.
    """

    env: str | None
    seeds: Sequence[int]
    deterministic: bool = True
    source: SourceOptions = field(default_factory=SourceOptions)
    use_stats: bool = True
    assume_standard_forward: bool = False
    extractor: str | None = None
    wrappers: Sequence[str] = ()
    wrap: bool = True
    sandbox: bool | None = None
    use_masking: bool = True
    max_episode_steps: int | None = None


Track: TypeAlias = Callable[[Sequence[int]], Iterable[int]]


def record(label: str, options: RecordOptions, track: Track = iter) -> Recording:
    """Run one episode per seed and keep everything.

    Args:
        label: SOURCE, for which SB3's own policy acts, or a port, which acts itself.
        options: What to record.
        track: Called with the seeds when all is loaded; the episodes are those that it gives, in its time.

    Raises:
        Sb3portError: With the exit code of the contract; NaN or infinite observations are a UsageError.
    """
    checkpoint, port = read_anything(
        label,
        options.source,
        options.use_stats,
        options.assume_standard_forward,
        options.extractor,
        options.sandbox,
    )
    if port is None:
        need("sb3", "acting as SB3 does", "name a port instead of its source")
    use_extractor(checkpoint.spec, options.extractor, label)
    env_id = env_id_of(checkpoint.environment, options.env)
    wrapping = wrapping_of(checkpoint.environment, options.wrappers, options.wrap)
    said: list[str] = []
    with closing(
        make_env(env_id, checkpoint.spec, None, wrapping, options.max_episode_steps, said.append)
    ) as env:
        actor = _actor(port, checkpoint, options.deterministic)
        policy = f"{'port' if port else 'SB3'} of {short_name(checkpoint.provenance.location)}"
        options = replace(options, env=env_id)
        recording = _recording(env, actor, options, policy, track)
        changes = change_warnings(port) if port is not None else []
        warnings = (*checkpoint.warnings, *changes, *said, *recording.warnings)
        return replace(recording, warnings=warnings, wrappers=wrapping.names)


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
    wrapping = wrapping_of(EnvironmentSpec(), options.wrappers, recorded=False)
    limit = options.max_episode_steps
    limited = {} if limit is None else {"max_episode_steps": limit}
    with closing(open_wrapped(options.env, wrapping, **limited)) as env:
        options = replace(options, deterministic=False)
        recording = _recording(env, ChanceActor(env), options, "random actions", track)
        return replace(recording, wrappers=wrapping.names)


def _actor(port: Path | None, checkpoint: Checkpoint, deterministic: bool) -> Witness:
    if port is not None:
        from sb3port.inference.actor import PortActor

        return PortActor(port, checkpoint.spec, deterministic)
    from sb3port.parity.oracle.actor import Sb3Actor

    return Sb3Actor(checkpoint, deterministic)


def _recording(env: Env, actor: Witness, options: RecordOptions, policy: str, track: Track) -> Recording:
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
        env=options.env or "",
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
        warnings=(CUT.format(options.env),) if any(step.cut for step in steps) else (),
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
