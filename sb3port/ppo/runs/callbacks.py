"""The protocol of callbacks: what is told how a training goes, and what it may change.

The names are those of `stable_baselines3.common.callbacks.BaseCallback`, without the underscore. Which of
SB3's callbacks is what here, docs/training.md says.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sb3port.errors import UsageError, did_you_mean

if TYPE_CHECKING:  # a callback is written, and a script begins, without torch
    from sb3port.ppo.rollout.buffer import Rollout
    from sb3port.ppo.runs.evaluations import EvalResult
    from sb3port.ppo.runs.settings import RunSettings
    from sb3port.ppo.runs.trainer import Trainer

_SIZES = ("learning_rate", "clip_range", "clip_range_vf")


class Training:
    """A training as callbacks see it, with what they may change.

    Attributes:
        out: The folder of the run.
        settings: What the run was told.
        rollout: The last rollout: arrays `(n_steps, n_envs, ...)`, which the next one overwrites; None before
            the first.
        values: What the last update logged, by SB3's names; empty before the first.
        evaluation: The last evaluation, None before the first.
        film: The film that belongs to the row of this iteration, None where none was made.
        stopped: Whether a callback asked for the end.
        failed: Whether the training ended with an error, for `on_training_end`.
    """

    def __init__(self, trainer: "Trainer", out: Path) -> None:
        self._trainer, self.out = trainer, out
        self.settings: RunSettings = trainer.settings
        self.rollout: Rollout | None = None
        self.values: Mapping[str, float | int | None] = {}
        self.evaluation: EvalResult | None = None
        self.film: Path | None = None
        self.stopped = self.failed = False
        self._own: dict[str, float | int | None] = {}

    @property
    def num_timesteps(self) -> int:
        """Environment steps done, those of an earlier training included."""
        return self._trainer.counters.num_timesteps

    @property
    def total_timesteps(self) -> int:
        """At how many environment steps the training ends."""
        return self.settings.until

    @property
    def is_over(self) -> bool:
        """Whether this iteration is the last one."""
        return self._trainer.is_over or self.stopped

    @property
    def iterations(self) -> int:
        """Rollouts done."""
        return self._trainer.counters.iterations

    @property
    def best_return(self) -> float | None:
        """Mean return of the best evaluation, None before the first."""
        return self._trainer.counters.best_return

    def log(self, name: str, value: float) -> None:
        """Add a number to the row of this iteration, and so to the log and to trackers.

        SB3's `self.logger.record` does that.

        Args:
            name: Such as "custom/heat".
            value: A number; NaN becomes an empty cell.
        """
        self._own[name] = value if math.isfinite(value) else None

    def stop(self) -> None:
        """End the training after this iteration, with a checkpoint; to return False does the same."""
        self.stopped = True

    def set(self, **sizes: float | None) -> None:
        """Give what schedules give otherwise another value, from the next update on.

        That lasts until it is set again, None brings the schedule back. A checkpoint does not keep it: a run
        that goes on asks its callbacks anew, in `on_training_start`.

        Args:
            sizes: `learning_rate`, `clip_range` or `clip_range_vf`.

        Raises:
            UsageError: There is no schedule of this name.
        """
        for name, value in sizes.items():
            if name not in _SIZES:
                raise UsageError(
                    f"there is no schedule {name}", did_you_mean(name, _SIZES, f"known: {', '.join(_SIZES)}")
                )
            self._trainer.overrides[name] = value

    def tensors(self) -> dict[str, Any]:
        """Give a copy of the policy's weights by name, as NumPy arrays."""
        return self._trainer.engine.tensors()

    def take_logged(self) -> dict[str, float | int | None]:
        """Give what callbacks have logged since the last row, and forget it."""
        taken, self._own = self._own, {}
        return taken


class TrainingCallback:
    """Told how a training goes; all methods do nothing here. One that returns False ends the training.

    A callback must leave the random numbers of `random`, `numpy.random` and torch alone for the training to
    keep SB3's bits.
    """

    def on_training_start(self, training: Training) -> bool | None:
        """Before the first rollout, of a run that goes on, too."""

    def on_rollout_start(self, training: Training) -> bool | None:
        """Before each rollout."""

    def on_rollout_end(self, training: Training) -> bool | None:
        """After each rollout, before the update on `training.rollout`."""

    def on_update_end(self, training: Training) -> bool | None:
        """After each update, whose numbers are in `training.values`."""

    def on_evaluation(self, training: Training) -> bool | None:
        """After each evaluation, which is `training.evaluation`."""

    def on_log(self, training: Training) -> bool | None:
        """When the row of an iteration is whole, in `training.values`: with evaluations and own numbers."""

    def on_checkpoint(self, training: Training, checkpoint: Path) -> bool | None:
        """After each checkpoint, in whose folder `pretrained_model` is a port."""

    def on_training_end(self, training: Training) -> bool | None:
        """After the last checkpoint, or when something went wrong."""


class Callbacks:
    """Several callbacks, told one after the other.

    Args:
        training: What they are told of.
        callbacks: Who is told.
    """

    def __init__(self, training: Training, callbacks: Iterable[TrainingCallback]) -> None:
        self.training, self._all = training, tuple(callbacks)

    def tell(self, event: str, *more: Any) -> None:
        """Call a method of each; False from any of them ends the training."""
        for callback in self._all:
            if getattr(callback, event)(self.training, *more) is False:
                self.training.stop()


def is_due(before: int, now: int, every: int) -> bool:
    """Whether a multiple of `every` steps was passed; they are counted from the beginning of the policy."""
    return now // max(every, 1) > before // max(every, 1)
