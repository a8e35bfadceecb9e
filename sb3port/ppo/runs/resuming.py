"""A run brought back to a checkpoint, to the bit."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Checkpoint, EnvironmentSpec, PolicySpec
from sb3port.checkpoint.schedules import ConstantSchedule
from sb3port.environments.choosing import choose_environment, needed_words
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.errors import NotPortable, Sb3portError, UsageError
from sb3port.networks.weights import build_policy
from sb3port.ports.finding import LAST, PORT, STATE
from sb3port.ports.reading import read_port
from sb3port.ppo.hyperparameters import SCHEDULES
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.rollout.episodes import MakeEnv
from sb3port.ppo.rollout.native import AT_ONCE
from sb3port.ppo.runs.checkpoints import find_checkpoint, point
from sb3port.ppo.runs.refusals import check_sizes
from sb3port.ppo.runs.running import prepare
from sb3port.ppo.runs.settings import RunSettings
from sb3port.ppo.runs.several import check_shares, share_of
from sb3port.ppo.runs.starting import restored
from sb3port.ppo.runs.stepping import make_environments
from sb3port.ppo.runs.trainer import Trainer
from sb3port.ppo.runs.training_state import TrainingState, apply_state, read_state


def resume(
    path: Path,
    warn: Callable[[str], None],
    env: str | None = None,
    around: Around = AS_IN_TRAINING,
    before: Callable[[PolicySpec], None] = lambda _: None,
    until: int | None = None,
    make: MakeEnv | None = None,
    ranks: Ranks = ALONE,
) -> tuple[Trainer, Checkpoint, Path]:
    """Bring a run back to a checkpoint, to the bit.

    With another number of processes than it had, its environments are shared out anew, and exploration and
    the order of minibatches are others from there.

    With more steps than it was to do, it goes on as SB3's `learn(..., reset_num_timesteps=False)` does: in
    the middle of its episodes, with its schedules as shares of the new end.

    Args:
        path: The folder of the run, for its last checkpoint, or a checkpoint in it.
        warn: Called with a sentence where an environment cannot be brought back to where it was, or schedules
            have another end.
        env: Which environment the user names: a file alone does not decide what is imported.
        around: What the user says of it beside that.
        before: Called with what the policy computes, before it is built.
        until: At how many environment steps in all it shall end; None where it was to end.
        make: Makes the environments, where a script hands them over.
        ranks: The processes that go on with it together.

    Returns:
        The trainer, its checkpoint, and the folder of the run.

    Raises:
        UsageError: There is no checkpoint, the user says something else than the run was told, or it has done
            as many steps already.
        NeedsOption: It needs what the user does not say.
        NotPortable: It is damaged.
    """
    folder = find_checkpoint(path)
    state = read_state(folder / STATE)
    settings = state.settings
    if make is None:
        _refuse_other_environment(settings.environment, env, around)
    if until is not None:
        _refuse_done(path, state.counters.num_timesteps, until)
        _warn_of_schedules(settings, until, warn)
        settings = replace(settings, until=until)
    _refuse_sizes(settings, folder)
    check_shares(settings, ranks)
    prepare(settings.device, ranks)
    origin = read_port(folder / PORT)
    if settings.hyperparameters.use_sde != origin.spec.use_sde:
        raise NotPortable(
            f"the training in {folder} explores by gSDE, and its policy does not, or the reverse"
        )
    before(origin.spec)
    envs = make_environments(share_of(settings, ranks), make)
    trainer = restored(settings, origin, envs, ranks, reference=_reference(state, origin, folder))
    if (had := len(state.others) + 1) != ranks.size:
        warn(f"the run had {had} process(es) and goes on in {ranks.size}, with other random numbers")
    if not _applied(trainer, state, folder):
        at_once = f"the vector environment of {settings.env} cannot be put back to where it was"
        alone = f"{settings.env} draws random numbers of its own"
        why = at_once if settings.vec_env in AT_ONCE else alone
        warn(f"{why}, so that its episodes begin anew here")
    if ranks.is_first:
        point(folder, LAST)
    out = folder.parents[1]
    return trainer, origin, path if path.resolve() == out else out


def _applied(trainer: Trainer, state: TrainingState, folder: Path) -> bool:
    """Bring a trainer to a state; see `apply_state`.

    Raises:
        NotPortable: It is one that this training cannot be in.
    """
    try:
        return apply_state(trainer, state)
    except Sb3portError:
        raise
    except (ValueError, LookupError, TypeError, RuntimeError, ArithmeticError) as error:
        trainer.envs.close()
        raise NotPortable(
            f"nothing goes on from the state of the training in {folder} ({error!r})"
        ) from error


def _reference(state: TrainingState, origin: Checkpoint, folder: Path) -> Mapping[str, Array] | None:
    """Give what the run stays near.

    Raises:
        NotPortable: The checkpoint has lost it, or it is none that this policy has been.
    """
    found = state.reference
    if not state.settings.kl_coef:
        return None
    if found is None:
        raise NotPortable(f"the state of the training in {folder} has no policy that it is to stay near")
    try:
        build_policy(origin.spec, found)
    except (RuntimeError, ValueError) as error:
        raise _other_policy(folder) from error
    if not all(np.isfinite(array).all() for array in found.values()):
        raise _other_policy(folder)
    return found


def _other_policy(folder: Path) -> NotPortable:
    return NotPortable(f"the training in {folder} is to stay near a policy that its own can not have been")


def _refuse_sizes(settings: RunSettings, folder: Path) -> None:
    """Refuse what no machine has room for, which no run was told.

    Raises:
        NotPortable: It is that.
    """
    try:
        check_sizes(settings.hyperparameters, settings.n_envs)
    except UsageError as error:
        raise NotPortable(
            f"the state of the training in {folder} cannot be read ({error.message})"
        ) from error


def _refuse_done(path: Path, done: int, until: int) -> None:
    if until <= done:
        raise UsageError(
            f"{path} has done {done:,} steps, and --steps {until} is how many it shall have done in all",
            f"take more, such as --steps {2 * done}",
        )


def _warn_of_schedules(settings: RunSettings, until: int, warn: Callable[[str], None]) -> None:
    """Say that what changes with the share of the training that remains has another end now."""
    given = settings.hyperparameters
    changing = [name for name in SCHEDULES if not isinstance(getattr(given, name), ConstantSchedule | None)]
    if changing and until != settings.until:
        names = ", ".join(changing)
        warn(
            f"{names}, by the share of steps that remains: of {until:,} from now on, as in SB3, and of "
            f"{settings.until:,} before, so that one run of {until:,} steps would have learned otherwise"
        )


def _refuse_other_environment(noted: EnvironmentSpec, env: str | None, around: Around) -> None:
    """Refuse to go on in another environment, or in one that only a file names.

    Raises:
        UsageError: The user says something else than the run was told.
        NeedsOption: The user has to say it, too.
    """
    chosen = choose_environment(noted, env, around)
    # As JSON, to which a file reduces tuples.
    if json.dumps(asdict(chosen)) != json.dumps(asdict(noted)):
        words = shlex.join(needed_words(noted))
        raise UsageError(
            "--resume goes on in the environment that the run was told, and the options name another one",
            f"say no more of it than {words}" if words else "drop them",
        )
