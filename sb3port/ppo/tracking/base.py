"""What every tracker is told."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# What SB3 keeps from TensorBoard, and so from what reads that.
NOT_IN_TENSORBOARD = frozenset(
    {"time/iterations", "time/time_elapsed", "time/total_timesteps", "train/n_updates"}
)
FILM = "videos/episode"
"""What films are called where they stand among the numbers."""
METRICS = ("rollout/ep_rew_mean", "rollout/ep_len_mean", "eval/mean_reward")


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers know it.

    Args:
        out: Its folder, which is there.
        algorithm: SB3's name of it, such as "PPO".
        settings: All it was told, flat: SB3's hyperparameters by their names, and more.
        done: Environment steps done before; 0 for a new run.
        known: What the tracker gave as `known` when the run began, None for a new run.
    """

    out: Path
    algorithm: str
    settings: Mapping[str, float | int | str | bool]
    done: int = 0
    known: str | None = None

    @property
    def name(self) -> str:
        """What to call it: the name of its folder."""
        return self.out.resolve().name


class Tracker(ABC):
    """A run in a tool, from its beginning or where it goes on.

    Args:
        run: The run.

    Attributes:
        known: By what the tool knows the run, which it gets again when that goes on.
    """

    known: str

    @abstractmethod
    def __init__(self, run: TrackedRun) -> None: ...

    @abstractmethod
    def log(self, values: Mapping[str, float | int], step: int) -> None:
        """Take what an iteration logs, by SB3's names, at an environment step."""

    @abstractmethod
    def checkpoint(self, port: Path, step: int) -> None:
        """Take a port as an artefact, and keep all that was logged."""

    @abstractmethod
    def film(self, film: Path, step: int) -> None:
        """Take the film of an episode, an .mp4 that stays where it is."""

    @abstractmethod
    def finish(self, failed: bool) -> None:
        """End, or, after a failure, say so."""


def of_tensorboard(values: Mapping[str, float | int]) -> dict[str, float | int]:
    """Leave out what SB3 does not write into TensorBoard."""
    return {name: value for name, value in values.items() if name not in NOT_IN_TENSORBOARD}
