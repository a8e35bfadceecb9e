"""What is refused before a training begins, because it would fail later, or train something else."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, PolicySpec
from sb3port.checkpoint.frames import FLOATS
from sb3port.checkpoint.spaces import Box, parts
from sb3port.environments.choosing import needed_words
from sb3port.environments.same_spaces import starts_at_zero
from sb3port.errors import NotPortable, UsageError, need
from sb3port.families.wrappers import unknown
from sb3port.ports.finding import CHECKPOINTS, LAST, STATE
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.runs.plans import Plan
from sb3port.ppo.runs.settings import RunSettings, read_settings
from sb3port.ppo.tracking.table import check_trackers

_MOST_ENVS, _MOST_EPOCHS = 4096, 10_000
_MOST_TRANSITIONS = 2**26  # of three observations, five gigabytes


def refuse_run(out: Path) -> None:
    """Refuse a folder that holds a run already, and what is no folder.

    Raises:
        UsageError: It is that.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, and a run is a folder", "choose another place with --out")
    last = out / CHECKPOINTS / LAST
    if last.exists():
        raise UsageError(f"{out} holds a run already", f"go on with it: {_command(out, last / STATE)}")


def _command(out: Path, state: Path) -> str:
    """Give the command that goes on with a run, with what a file alone does not decide."""
    try:
        words = needed_words(read_settings(state).environment)
    except NotPortable:  # which the command will say
        words = ()
    return shlex.join(("sb3port", "train", "--resume", str(out), *words))


def refuse_other_policy(spec: PolicySpec, given: Mapping[str, Any]) -> None:
    """Refuse what belongs to the policy, which there is already.

    Raises:
        UsageError: gSDE is to begin or to end.
    """
    if given.get("use_sde", spec.use_sde) != spec.use_sde:
        has = "explores by gSDE" if spec.use_sde else "does not explore by gSDE"
        raise UsageError(f"the policy {has}, which is part of its weights", "drop --use-sde")


def check_sizes(settings: Hyperparameters, n_envs: int) -> None:
    """Refuse what makes advantages NaN, as SB3 does, and what no machine has room for.

    Raises:
        UsageError: A rollout or a minibatch has one transition, whose advantages cannot be normalised; or
            there are more environments or transitions than anyone wants, which a file may ask for.
    """
    if settings.n_epochs > _MOST_EPOCHS:
        raise UsageError(
            f"{settings.n_epochs:,} epochs of every rollout are none that can be done",
            f"take 1 to {_MOST_EPOCHS:,} with --n-epochs",
        )
    if not 1 <= n_envs <= _MOST_ENVS or settings.n_steps * n_envs > _MOST_TRANSITIONS:
        raise UsageError(
            f"a rollout of {settings.n_steps:,} steps in {n_envs:,} environments is none that can be done",
            f"take 1 to {_MOST_ENVS:,} environments with --n-envs, and fewer steps with --n-steps",
        )
    alone = settings.n_steps * n_envs == 1 or settings.batch_size == 1
    if settings.normalize_advantage and alone:
        raise UsageError(
            "n_steps * n_envs and batch_size must be greater than 1 for advantages to be normalised",
            "take larger ones, or --no-normalize-advantage",
        )


def refuse_unknown(environment: EnvironmentSpec, plan: Plan) -> None:
    """Refuse to train a new policy in another environment than the one that was asked for.

    Raises:
        UsageError: A wrapper is not one that we have.
    """
    if names := unknown(environment):
        raise UsageError(
            f"{plan.source} asks for {', '.join(names)}, which we do not have",
            "name others in their place, such as --wrapper module:Class, or leave them out: --no-wrappers",
        )


def refuse_starts(spec: PolicySpec) -> None:
    """Refuse observations of which SB3 could not make one-hot vectors: it counts choices from 0.

    Raises:
        UsageError: Choices among the observations start elsewhere.
    """
    odd = [part for part in parts(spec.observation_space).values() if not starts_at_zero(part)]
    if odd:
        raise UsageError(
            f"the environment observes {odd[0]}, and SB3 has no policies for choices that do not start at 0",
            "subtract the start in a wrapper, and name it with --wrapper module:Class",
        )


def check_normalised(run: RunSettings, spec: PolicySpec) -> None:
    """Refuse to normalise what is no vector, as SB3 does, and frames that it then rounds.

    Raises:
        UsageError: An observation that is to be normalised is none, or a stack of frames of whole numbers.
    """
    if run.normalise is None or not run.normalise.norm_obs:
        return
    seen = parts(spec.observation_space)
    for key in run.norm_obs_keys or seen:
        part = seen.get(key)
        if not isinstance(part, Box) or part.is_image:
            raise UsageError(
                f"VecNormalize takes vectors, but the observation {key} is {part}".replace("  ", " "),
                'normalise rewards alone: --normalize-kwargs "dict(norm_obs=False)", or parts of a Dict: '
                "\"dict(norm_obs_keys=['name'])\"",
            )
        if (run.environment.frame_stack or 1) > 1 and part.dtype not in FLOATS:
            raise UsageError(
                f"frames that are normalised and then stacked would be rounded to {part.dtype}",
                "leave out frame_stack, or normalise rewards alone: "
                '--normalize-kwargs "dict(norm_obs=False)"',
            )


def check_watching(run: Mapping[str, Any]) -> None:
    """Refuse to watch a run by what is not there.

    Args:
        run: Fields of `RunSettings`.

    Raises:
        UsageError: A tracker is unknown or not installed, nothing writes films, or evaluations have no
            episodes.
    """
    check_trackers(tuple(run.get("track", ())))
    if run.get("video_every") is not None:
        need("video", "video_every")
    if run.get("eval_every") is not None and not run.get("eval_episodes", 1):
        raise UsageError("eval_every needs episodes, and eval_episodes is 0", "take 1 or more of them")
