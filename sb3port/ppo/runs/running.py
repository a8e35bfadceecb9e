"""A training from its beginning or a checkpoint to its end, with checkpoints, evaluations and a log."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import TrainingDiverged, UsageError
from sb3port.ports.finding import BEST, CHECKPOINTS, LAST, PORT
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.episodes import MakeEnv
from sb3port.ppo.runs.callbacks import Callbacks, Training, TrainingCallback, is_due
from sb3port.ppo.runs.checkpoints import (
    point,
    pointed,
    save_checkpoint,
    telling_what_is_kept,
)
from sb3port.ppo.runs.evaluating import Evaluator
from sb3port.ppo.runs.evaluations import EvaluationLog
from sb3port.ppo.runs.filming import Filming
from sb3port.ppo.runs.logs import TrainingLog
from sb3port.ppo.runs.stepping import maker_of
from sb3port.ppo.runs.tracked import Tracking
from sb3port.ppo.runs.trainer import Trainer

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Watcher(TrainingCallback):
    """A callback made of functions, of which all do nothing by default.

    Args:
        began: Called with steps done and steps to do.
        iterated: Called with what each iteration logs.
        saved: Called with each checkpoint, and its mean return where it was evaluated.
    """

    def __init__(
        self,
        began: Callable[[int, int], None] = lambda *_: None,
        iterated: Callable[[Mapping[str, Any]], None] = lambda _: None,
        saved: Callable[[Path, float | None], None] = lambda *_: None,
    ) -> None:
        self._began, self._iterated, self._saved = began, iterated, saved

    def on_training_start(self, training: Training) -> None:
        """Tell how many steps are done, and how many there are."""
        self._began(training.num_timesteps, training.total_timesteps)

    def on_log(self, training: Training) -> None:
        """Tell what was logged."""
        self._iterated(training.values)

    def on_checkpoint(self, training: Training, checkpoint: Path) -> None:
        """Tell where it lies, and what it earns."""
        found = training.evaluation
        is_new = found is not None and found.timesteps == training.num_timesteps
        self._saved(checkpoint, found.mean if found is not None and is_new else None)


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Args:
        last: The last checkpoint.
        best: The best one by evaluation, None without.
        steps: Environment steps done.
        best_return: Mean return of the best one.
        values: What the last iteration logged.
        interrupted: Whether a signal asked it to end early.
        stopped: Whether a callback did.
    """

    last: Path
    best: Path | None
    steps: int
    best_return: float | None
    values: Mapping[str, Any]
    interrupted: bool
    stopped: bool = False

    @property
    def port(self) -> Path:
        """The port of the last checkpoint."""
        return self.last / PORT


def prepare(device: str, ranks: Ranks = ALONE) -> None:
    """Set torch up: one thread, which is faster for small networks and SB3's bits on every machine.

    Of several processes on a machine with GPUs, each takes one of its own.

    Raises:
        UsageError: There is no such device.
    """
    torch.set_num_threads(1)
    if ranks.size > 1 and device not in ("cpu", "cuda"):
        raise UsageError(f"several processes do not train on {device}", "take --device cpu or --device cuda")
    try:
        if ranks.size > 1 and device == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ValueError) as error:
        hint = (
            "take --device cpu" if ranks.size == 1 else "start as many processes on a machine as it has GPUs"
        )
        raise UsageError(f"there is no device {device} here", hint) from error


def train(
    trainer: Trainer, origin: Checkpoint | None, out: Path, *callbacks: TrainingCallback, **places: Any
) -> Outcome:
    """Train to the end, or until somebody asks to stop; the last checkpoint is written in either case.

    Of several processes, all of which call this, the first one writes, evaluates and tells callbacks.

    Args:
        trainer: Begun or resumed.
        origin: The checkpoint it went on from when the training began, None for a new policy.
        out: The folder of the run.
        callbacks: Who is told, and may ask to stop.
        places: As `_Run` takes them.

    Raises:
        TrainingDiverged: Something became NaN or infinite; the checkpoints before are kept.
        UsageError: A tracker cannot begin, or an environment cannot be drawn.
        RankLost: Another process ended; likewise.
    """
    if trainer.ranks.is_first:
        out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(telling_what_is_kept(out))
        run = _Run(trainer, origin, out, callbacks, stack, **places)
        stopping = stack.enter_context(_stop_requests())
        stops = run.agrees_to_stop(stopping)
        while not run.is_over and not stops:
            run.iterate(stopping)
            stops = run.agrees_to_stop(stopping)
    last = pointed(out / CHECKPOINTS, LAST)
    assert last is not None or not trainer.ranks.is_first
    return Outcome(
        last or out / CHECKPOINTS / LAST,  # which may be on another machine
        pointed(out / CHECKPOINTS, BEST),
        trainer.counters.num_timesteps,
        trainer.counters.best_return,
        run.training.values,
        stops,
        run.training.stopped,
    )


class _Run:
    """The work of `train`.

    Args:
        trainer, origin, out, callbacks: As of `train`.
        stack: Takes what is to be done in the end, in any case.
        make: Makes the environment of evaluations and films; by default as those of the training.
    """

    def __init__(
        self,
        trainer: Trainer,
        origin: Checkpoint | None,
        out: Path,
        callbacks: Sequence[TrainingCallback],
        stack: ExitStack,
        make: MakeEnv | None = None,
    ) -> None:
        self._trainer, self._origin, self._out = trainer, origin, out
        self._settings = settings = trainer.settings
        self.training, done = Training(trainer, out), trainer.counters.num_timesteps
        is_first = trainer.ranks.is_first
        self._log = TrainingLog(out, done) if is_first else None
        self._evaluator: Evaluator | None = None
        if settings.eval_episodes and is_first:
            seeds = range(settings.eval_seed, settings.eval_seed + settings.eval_episodes)
            self._evaluator = Evaluator(trainer.spec, make or maker_of(settings), seeds, settings.use_masking)
            stack.callback(self._evaluator.close)
            self._evaluations = EvaluationLog(out, done, settings.eval_episodes)
        told = [*_built_in(trainer, origin, make), *callbacks] if is_first else ()
        self._callbacks = Callbacks(self.training, told)
        stack.push(self._end)
        self._callbacks.tell("on_training_start")

    @property
    def is_over(self) -> bool:
        return self.training.is_over

    def agrees_to_stop(self, stopping: Sequence[int]) -> bool:
        """Whether a signal asked for it, in any process; and let all know whether a callback did."""
        self.training.stopped, stops = self._trainer.ranks.any(self.training.stopped, bool(stopping))
        return stops

    def iterate(self, stopping: Sequence[int]) -> None:
        """Do one iteration, and what is due after it.

        Args:
            stopping: Not empty where a signal asks for the end: that checkpoint is not evaluated, so that it
                changes nothing.
        """
        before = self._trainer.counters.num_timesteps
        self._callbacks.tell("on_rollout_start")
        self._learn()
        self._callbacks.tell("on_update_end")
        settings, now = self._settings, self._trainer.counters.num_timesteps
        due = self.is_over or is_due(before, now, settings.save_every)
        every = settings.eval_every
        examined = due if every is None else self.is_over or is_due(before, now, every)
        is_best = examined and self._evaluate()
        self._write_row()
        (saves,) = self._trainer.ranks.any(due or is_best or bool(stopping) or self.training.stopped)
        if saves:
            self._save(is_best)

    def _learn(self) -> None:
        try:
            self.training.values = self._trainer.iterate(self._collected).values
        except TrainingDiverged as error:
            kept = pointed(self._out / CHECKPOINTS, LAST)
            hint = f"the last good checkpoint is {kept}" if kept else "nothing was saved"
            raise TrainingDiverged(
                error.message, f"{hint}; lower learning_rate, or look at {self._settings.env}"
            ) from error

    def _collected(self, rollout: Rollout) -> None:
        self.training.rollout = rollout
        self._callbacks.tell("on_rollout_end")

    def _evaluate(self) -> bool:
        """Evaluate, and tell whether the policy is the best so far."""
        if self._evaluator is None:
            return False
        counters = self._trainer.counters
        found = self._evaluator.evaluate(
            self._trainer.engine, self._trainer.normaliser, counters.num_timesteps
        )
        self._evaluations.add(found)
        self.training.evaluation = found
        self.training.values = {**self.training.values, **found.as_logged()}
        is_best = counters.best_return is None or found.mean > counters.best_return
        counters.best_return = found.mean if is_best else counters.best_return
        self._callbacks.tell("on_evaluation")
        return is_best

    def _write_row(self) -> None:
        self.training.values = {**self.training.values, **self.training.take_logged()}
        if self._log is not None:
            self._log.write(self.training.values)
        self._callbacks.tell("on_log")

    def _save(self, is_best: bool) -> None:
        folder = save_checkpoint(self._trainer, self._origin, self._out)
        if is_best:
            point(folder, BEST)
        self._callbacks.tell("on_checkpoint", folder)

    def _end(self, kind: type[BaseException] | None, *_: Any) -> None:
        self.training.failed = kind is not None
        self._callbacks.tell("on_training_end")


def _built_in(
    trainer: Trainer, origin: Checkpoint | None, make: MakeEnv | None
) -> Iterator[TrainingCallback]:
    """Give the callbacks that the settings ask for."""
    settings = trainer.settings
    if settings.video_every:
        drawn = make or maker_of(settings, render_mode="rgb_array")
        yield Filming(trainer, origin, drawn, settings.video_every)
    if settings.track:
        yield Tracking(settings.track, trainer.spec.algorithm, trainer.counters.iterations > 0)


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
