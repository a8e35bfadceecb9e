"""The trackers by name. A new one is a row here, and a package in `errors._EXTRAS` under the same name."""

import contextlib
import sys
from collections.abc import Callable

from sb3port.errors import Sb3portError, UsageError, did_you_mean, need
from sb3port.ppo.tracking.base import TrackedRun, Tracker


def _tensorboard(run: TrackedRun) -> Tracker:
    from sb3port.ppo.tracking.tensorboard import TensorBoard

    return TensorBoard(run)


def _wandb(run: TrackedRun) -> Tracker:
    from sb3port.ppo.tracking.wandb import WeightsAndBiases

    return WeightsAndBiases(run)


def _trackio(run: TrackedRun) -> Tracker:
    from sb3port.ppo.tracking.trackio import Trackio

    return Trackio(run)


def _mlflow(run: TrackedRun) -> Tracker:
    from sb3port.ppo.tracking.mlflow import Mlflow

    return Mlflow(run)


TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "trackio": _trackio,
    "mlflow": _mlflow,
}
_HINTS = {"wandb": "log in with: wandb login, or keep it here: WANDB_MODE=offline"}


def check_trackers(names: tuple[str, ...]) -> None:
    """Refuse a tracker that there is not, or that is not installed, before anything takes its time.

    Raises:
        UsageError: It is that.
    """
    for name in names:
        if name not in TRACKERS:
            hint = did_you_mean(name, TRACKERS, f"known: {', '.join(TRACKERS)}")
            raise UsageError(f"there is no tracker {name}", hint)
        need(name, f"--track {name}")


def begin_tracker(name: str, run: TrackedRun) -> Tracker:
    """Begin a run in a tool, or go on with it there.

    Raises:
        UsageError: It cannot be reached, or does not want to.
    """
    try:
        # What they say of themselves is no result of ours.
        with contextlib.redirect_stdout(sys.stderr):
            return TRACKERS[name](run)
    except Sb3portError:
        raise
    except Exception as error:  # of whatever kind the tool's are
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise UsageError(f"{name} cannot begin a run: {reason}", _HINTS.get(name)) from error
