"""The observations that a user names: recorded ones, drawn ones, edge cases, or a rollout."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec
from sb3port.environments.making import make_env
from sb3port.environments.rollouts import Step, observed, run_episode
from sb3port.environments.wrapping import wrapping_in
from sb3port.errors import UsageError, did_you_mean
from sb3port.networks.observations import ObservationSet, set_of
from sb3port.parity.observations.datasets import dataset_observations
from sb3port.parity.observations.drawn import drawn_observations
from sb3port.parity.observations.edge import edge_observations
from sb3port.parity.observations.recorded import recorded_observations
from sb3port.readers.places.locations import meant

ROLLOUT_STEPS = 1024

EDGE = "edge"
NAMES = ("recorded", "drawn", EDGE, "rollout")


@dataclass(frozen=True)
class ObservationContext:
    """What observations are made from.

    Args:
        checkpoint: The policy that they are for.
        reference: The `reference.npz` beside its source, None where there is none.
        environment: The one that was chosen for rollouts, None for none.
        use_masking: Whether a maskable policy is told in rollouts which actions are allowed.
    """

    checkpoint: Checkpoint
    reference: Path | None = None
    environment: EnvironmentSpec | None = None
    use_masking: bool = True


def check_names(names: tuple[str, ...], in_environment: bool = False) -> None:
    """Refuse names of observations that there cannot be, before anything is read.

    Args:
        names: See `observation_set`.
        in_environment: Whether an environment is named.

    Raises:
        UsageError: A name is neither one of `NAMES` nor a path, or what it needs is missing.
    """
    for name in names:
        if name not in NAMES and not Path(name).exists():
            raise UsageError(f"{name} is not a file", did_you_mean(name, NAMES) or meant(Path(name)))
    if "rollout" in names and not in_environment:
        raise UsageError("a rollout needs an environment", "name it with: --env ID")


def observation_sets(names: tuple[str, ...], context: ObservationContext) -> list[ObservationSet]:
    """Give the observations that are named, each of another name, and edge cases in any case.

    Args:
        names: See `observation_set`; without any, recorded ones where there are some, else drawn ones.
        context: What they are made from.

    Raises:
        UsageError, NotPortable: As `observation_set`.
    """
    chosen = names or (("recorded",) if context.reference else ("drawn",))
    unique = list(dict.fromkeys([*chosen, EDGE]))
    sets: list[ObservationSet] = []
    for name in unique:
        sets.append(_renamed(observation_set(name, context), {known.name for known in sets}))
    return sets


def observation_set(name_or_path: str, context: ObservationContext) -> ObservationSet:
    """Give one set of observations.

    Args:
        name_or_path: "recorded", for those beside the source; "drawn"; "edge"; "rollout"; or an `.npz` or a
            LeRobotDataset with recorded ones.
        context: What they are made from.

    Raises:
        UsageError: There are none of this name, or what they need is missing.
        NotPortable: The file is damaged, or does not fit the policy.
    """
    spec, normalizer = context.checkpoint.spec, context.checkpoint.normalizer
    match name_or_path:
        case "edge":
            return edge_observations(spec, normalizer)
        case "drawn":
            return drawn_observations(spec, normalizer)
        case "rollout":
            return rollout_observations(context.checkpoint, _needed_env(context), context.use_masking)
        case "recorded":
            return recorded_observations(_needed_reference(context), spec)
    path = Path(name_or_path)
    return dataset_observations(path, spec) if path.is_dir() else recorded_observations(path, spec)


def _needed_env(context: ObservationContext) -> EnvironmentSpec:
    if context.environment is None:
        raise UsageError("a rollout needs an environment", "name it with: --env ID")
    return context.environment


def _needed_reference(context: ObservationContext) -> Path:
    if context.reference is None:
        raise UsageError("no observations are recorded beside the source", "name a file, or: drawn")
    return context.reference


def _renamed(found: ObservationSet, taken: set[str]) -> ObservationSet:
    """Number a set whose name another one has."""
    if found.name not in taken:
        return found
    number = next(n for n in range(2, len(taken) + 2) if f"{found.name}-{n}" not in taken)
    return ObservationSet(f"{found.name}-{number}", found.label, found.count, found.batches)


def rollout_observations(
    checkpoint: Checkpoint, environment: EnvironmentSpec, use_masking: bool = True
) -> ObservationSet:
    """Run SB3's policy, deterministically, until there are enough observations.

    Args:
        checkpoint: The policy.
        environment: In what; the seeds of its episodes count up from 0.
        use_masking: Whether a maskable policy is told which actions are allowed.

    Raises:
        UsageError: There is no such environment, its spaces are not those of the policy, or it gives NaN.
    """
    found = list(islice(_numbered_steps(checkpoint, environment, use_masking), ROLLOUT_STEPS))
    numbers, steps = zip(*found, strict=True)
    observations = observed(checkpoint.spec, steps, np.array(numbers))
    return set_of("rollout", f"rollout of {ROLLOUT_STEPS} steps in {environment.env_id}", observations)


def _numbered_steps(
    checkpoint: Checkpoint, environment: EnvironmentSpec, use_masking: bool
) -> Iterator[tuple[int, Step]]:
    from sb3port.parity.oracle.actor import Sb3Actor

    actor = Sb3Actor(checkpoint)
    env = make_env(environment.env_id or "", checkpoint.spec, wrapping=wrapping_in(environment))
    try:
        for seed in count():
            yield from enumerate(run_episode(env, actor, seed, True, use_masking))
    finally:
        env.close()
