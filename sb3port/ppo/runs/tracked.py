"""The callback that tells trackers how a training goes."""

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from sb3port.families.algorithms import algorithm_of
from sb3port.files.staging import staged_file
from sb3port.files.untrusted import read_json
from sb3port.ports.finding import PORT
from sb3port.ppo.rollout.random_state import undisturbed
from sb3port.ppo.runs.callbacks import Training, TrainingCallback
from sb3port.ppo.runs.settings import flat_settings
from sb3port.ppo.tracking.base import TrackedRun, Tracker
from sb3port.ppo.tracking.table import begin_tracker

NOTE = "tracking.json"
"""By what each tool knows the run, in its folder."""


class Tracking(TrainingCallback):
    """Tells trackers of every row, and gives them every film, and the port of every checkpoint.

    What fails in a tool while it runs ends neither the training nor the other tools: a warning says so.

    Args:
        names: Of `tracking.table.TRACKERS`.
        algorithm: As `PolicySpec` names it.
        goes_on: Whether the run was tracked before.
    """

    def __init__(self, names: tuple[str, ...], algorithm: str, goes_on: bool) -> None:
        self._names, self._goes_on = names, goes_on
        self._algorithm = algorithm_of(algorithm).name
        self._trackers: dict[str, Tracker] = {}

    def on_training_start(self, training: Training) -> None:
        """Begin a run in each tool, or go on with it.

        Raises:
            UsageError: A tool cannot.
        """
        known = _read_note(training.out) if self._goes_on else {}
        settings = flat_settings(training.settings)
        for name in self._names:
            run = TrackedRun(
                training.out,
                self._algorithm,
                {"algorithm": self._algorithm, **settings},
                training.num_timesteps,
                known.get(name),
            )
            with undisturbed():
                self._trackers[name] = begin_tracker(name, run)
        note = {name: tracker.known for name, tracker in self._trackers.items()}
        with staged_file(training.out / NOTE, force=True) as staged:
            staged.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")

    def on_log(self, training: Training) -> None:
        """Give each a row, without what there is no number for, and the film where one was made."""
        values = {name: value for name, value in training.values.items() if value is not None}
        self._each(lambda tracker: tracker.log(values, training.num_timesteps))
        if (film := training.film) is not None:
            with undisturbed():
                self._each(lambda tracker: tracker.film(film, training.num_timesteps))

    def on_checkpoint(self, training: Training, checkpoint: Path) -> None:
        """Give each the port."""
        with undisturbed():
            self._each(lambda tracker: tracker.checkpoint(checkpoint / PORT, training.num_timesteps))

    def on_training_end(self, training: Training) -> None:
        """End the run in each."""
        with undisturbed():
            self._each(lambda tracker: tracker.finish(training.failed))
        self._trackers = {}

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                with contextlib.redirect_stdout(sys.stderr):  # what they say of themselves is no result
                    tell(tracker)
            except Exception as error:  # of whatever kind the tool's are
                del self._trackers[name]
                warnings.warn(f"{name} failed, and the training goes on without it: {error!r}", stacklevel=2)


def _read_note(out: Path) -> Mapping[str, str]:
    if not (out / NOTE).is_file():
        return {}
    found = read_json(out / NOTE, within=out)
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: known for name, known in pairs if isinstance(known, str)}
