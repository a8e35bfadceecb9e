"""A training from its beginning or a checkpoint to its end, with checkpoints, evaluations and a log."""

import json
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, PolicySpec
from sb3port.checkpoint.schedules import ConstantSchedule
from sb3port.environments.choosing import choose_environment, needed_words
from sb3port.environments.given import AS_IN_TRAINING, Around
from sb3port.errors import TrainingDiverged, UsageError
from sb3port.ports.finding import BEST, CHECKPOINTS, LAST, PORT, STATE
from sb3port.ports.reading import read_port
from sb3port.ppo.hyperparameters import SCHEDULES
from sb3port.ppo.runs.checkpoints import find_checkpoint, point, pointed, save_checkpoint
from sb3port.ppo.runs.evaluating import Evaluator
from sb3port.ppo.runs.logs import TrainingLog
from sb3port.ppo.runs.settings import RunSettings
from sb3port.ppo.runs.starting import restored
from sb3port.ppo.runs.stepping import AT_ONCE, make_environments, maker_of
from sb3port.ppo.runs.trainer import Trainer
from sb3port.ppo.runs.training_state import apply_state, read_state

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Watcher:
    """Who is told how a training goes; all do nothing by default.

    Args:
        began: Called with steps done and steps to do.
        iterated: Called with what each iteration logs.
        saved: Called with each checkpoint, and its mean return where it was evaluated.
    """

    began: Callable[[int, int], None] = lambda *_: None
    iterated: Callable[[Mapping[str, Any]], None] = lambda _: None
    saved: Callable[[Path, float | None], None] = lambda *_: None


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Args:
        last: The last checkpoint.
        best: The best one by evaluation, None without.
        steps: Environment steps done.
        best_return: Mean return of the best one.
        values: What the last iteration logged.
        interrupted: Whether it was asked to end early.
    """

    last: Path
    best: Path | None
    steps: int
    best_return: float | None
    values: Mapping[str, Any]
    interrupted: bool


def prepare(device: str) -> None:
    """Set torch up: one thread, which is faster for small networks and SB3's bits on every machine.

    Raises:
        UsageError: There is no such device.
    """
    torch.set_num_threads(1)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"there is no device {device} here", "take --device cpu") from error


def train(trainer: Trainer, origin: Checkpoint | None, out: Path, watcher: Watcher) -> Outcome:
    """Train to the end, or until a signal asks to stop; the last checkpoint is written in either case.

    Args:
        trainer: Begun or resumed.
        origin: The checkpoint it went on from when the training began, None for a new policy.
        out: The folder of the run.
        watcher: Who is told.

    Raises:
        TrainingDiverged: Something became NaN or infinite; the checkpoints before are kept.
    """
    settings = trainer.settings
    out.mkdir(parents=True, exist_ok=True)
    log = TrainingLog(out, trainer.counters.num_timesteps)
    evaluator = None
    if settings.eval_episodes:
        make, masked = maker_of(settings), settings.use_masking
        evaluator = Evaluator(trainer.spec, make, settings.eval_episodes, masked)
    watcher.began(trainer.counters.num_timesteps, settings.until)
    run = _Run(trainer, origin, out, watcher, evaluator)
    with _stop_requests() as stopping:
        while not trainer.is_over and not stopping:
            run.iterate(log)
            due = run.is_due()
            if due or stopping:
                run.save(evaluate=due)
    if evaluator:
        evaluator.close()
    last = pointed(out / CHECKPOINTS, LAST)
    assert last is not None
    return Outcome(
        last,
        pointed(out / CHECKPOINTS, BEST),
        trainer.counters.num_timesteps,
        trainer.counters.best_return,
        run.values,
        bool(stopping),
    )


class _Run:
    """The work of `train` between two looks at the clock."""

    def __init__(
        self,
        trainer: Trainer,
        origin: Checkpoint | None,
        out: Path,
        watcher: Watcher,
        evaluator: Evaluator | None,
    ) -> None:
        self._trainer, self._origin, self._out = trainer, origin, out
        self._watcher, self._evaluator = watcher, evaluator
        self._saved_at = trainer.counters.num_timesteps
        self.values: Mapping[str, Any] = {}

    def iterate(self, log: TrainingLog) -> None:
        try:
            self.values = self._trainer.iterate().values
        except TrainingDiverged as error:
            kept = pointed(self._out / CHECKPOINTS, LAST)
            hint = f"the last good checkpoint is {kept}" if kept else "nothing was saved"
            raise TrainingDiverged(
                error.message, f"{hint}; lower learning_rate, or look at {self._env}"
            ) from error
        log.write(self.values)
        self._watcher.iterated(self.values)

    @property
    def _env(self) -> str:
        return self._trainer.settings.env

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint; the steps between are counted from the beginning."""
        every, now = max(self._trainer.settings.save_every, 1), self._trainer.counters.num_timesteps
        return self._trainer.is_over or now // every > self._saved_at // every

    def save(self, evaluate: bool) -> None:
        """Write a checkpoint; that of an interruption is not evaluated, so that it changes nothing."""
        counters, found, is_best = self._trainer.counters, None, False
        if evaluate and self._evaluator is not None:
            found = self._evaluator.mean_return(self._trainer.engine, self._trainer.normaliser)
            is_best = counters.best_return is None or found > counters.best_return
            counters.best_return = found if is_best else counters.best_return
        self._saved_at = counters.num_timesteps
        folder = save_checkpoint(self._trainer, self._origin, self._out)
        if is_best:
            point(folder, BEST)
        self._watcher.saved(folder, found)


def resume(
    path: Path,
    warn: Callable[[str], None],
    env: str | None = None,
    around: Around = AS_IN_TRAINING,
    before: Callable[[PolicySpec], None] = lambda _: None,
    until: int | None = None,
) -> tuple[Trainer, Checkpoint, Path]:
    """Bring a run back to a checkpoint, to the bit.

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
    _refuse_other_environment(settings.environment, env, around)
    if until is not None:
        _refuse_done(path, state.counters.num_timesteps, until)
        _warn_of_schedules(settings, until, warn)
        settings = replace(settings, until=until)
    prepare(settings.device)
    origin = read_port(folder / PORT)
    before(origin.spec)
    trainer = restored(settings, origin, make_environments(settings))
    if not apply_state(trainer, state):
        at_once = f"the vector environment of {settings.env} cannot be put back to where it was"
        alone = f"{settings.env} draws random numbers of its own"
        why = at_once if settings.vec_env in AT_ONCE else alone
        warn(f"{why}, so that its episodes begin anew here")
    point(folder, LAST)
    out = folder.parents[1]
    return trainer, origin, path if path.resolve() == out else out


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


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect requests to stop, so that the iteration can end; a second one stops at once."""
    requests: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if requests:
            raise KeyboardInterrupt
        requests.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
