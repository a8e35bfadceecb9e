"""`evaluations.npz`: what SB3's `EvalCallback` writes and rl_zoo3's plots read.

`timesteps` is int64 `(n,)`; `results` float64 and `ep_lengths` int64, each `(n, episodes)`; `successes` bool,
likewise, where the environment says it.
"""

import statistics
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.files.staging import staged_file
from sb3port.parity.observations.npz import NpzFile

FILE = "evaluations.npz"
_ARRAYS = ("timesteps", "results", "ep_lengths", "successes")
T = TypeVar("T")


@dataclass(frozen=True)
class EvalResult:
    """The episodes of one evaluation.

    Args:
        timesteps: Environment steps of the training that were done.
        returns: Undiscounted.
        lengths: Steps.
        successes: `info["is_success"]` of each last step; None where the environment does not say it.
    """

    timesteps: int
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    successes: tuple[bool, ...] | None = None

    @property
    def mean(self) -> float:
        """Mean return."""
        return statistics.fmean(self.returns)

    @property
    def success_rate(self) -> float | None:
        """Share of successes, None where the environment does not say it."""
        return None if self.successes is None else statistics.fmean(self.successes)

    def as_logged(self) -> dict[str, float]:
        """Give what SB3's `EvalCallback` logs, under its names."""
        rate = {} if self.success_rate is None else {"eval/success_rate": self.success_rate}
        return {
            "eval/mean_reward": self.mean,
            "eval/mean_ep_length": statistics.fmean(self.lengths),
            **rate,
        }


class EvaluationLog:
    """Keeps all evaluations of a run in one file, which is written anew for each.

    Args:
        folder: Where it is.
        done: Environment steps at which the training goes on; later evaluations are forgotten.
        episodes: Of each evaluation; the file has room for evaluations of one length.
    """

    def __init__(self, folder: Path, done: int, episodes: int) -> None:
        self._path = folder / FILE
        before = read_evaluations(self._path) if done else []
        self.results = [r for r in before if r.timesteps <= done and len(r.returns) == episodes]

    def add(self, result: EvalResult) -> None:
        """Add an evaluation."""
        self.results.append(result)
        arrays = {
            "timesteps": np.array([r.timesteps for r in self.results], np.int64),
            "results": np.array([r.returns for r in self.results], np.float64),
            "ep_lengths": np.array([r.lengths for r in self.results], np.int64),
        }
        successes = [r.successes for r in self.results]
        if None not in successes:
            arrays["successes"] = np.array(successes, np.bool_)
        with staged_file(self._path, force=True) as staged:
            np.savez(staged, **arrays)  # type: ignore[arg-type]  # its stubs take names for options


def read_evaluations(path: Path) -> list[EvalResult]:
    """Read what `EvaluationLog`, or SB3's `EvalCallback`, wrote; an absent file has none.

    Raises:
        NotPortable: It is damaged, or no such file.
    """
    if not path.is_file():
        return []
    try:
        with NpzFile(path) as file:
            found = {name: file.array(name) for name in file.names if name in _ARRAYS}
        if not found["results"].shape[-1]:
            raise ValueError("evaluations without episodes")
        rows = zip(found["timesteps"], found["results"], found["ep_lengths"], strict=True)
        results = [EvalResult(int(t), _numbers(r, float), _numbers(n, int)) for t, r, n in rows]
        if "successes" not in found:
            return results
        told = (_numbers(row, bool) for row in found["successes"])
        return [replace(r, successes=s) for r, s in zip(results, told, strict=True)]
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        OverflowError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise NotPortable(f"{path} holds no evaluations that can be read ({error})") from error


def _numbers(row: Array, kind: type[T]) -> tuple[T, ...]:
    return tuple(kind(value) for value in np.ravel(row))  # type: ignore[call-arg]
