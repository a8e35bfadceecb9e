"""Running normalisation of observations and rewards: SB3's VecNormalize, number for number.

Source: `stable_baselines3/common/vec_env/vec_normalize.py` and `running_mean_std.py`. Statistics are float64,
what comes out is float32.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, Normalizer, RunningMeanStd, frozen
from sb3port.checkpoint.frames import Stack, missing
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.rollout.environments import Observations
from sb3port.ppo.rollout.stacking import FrameHistory


class RunningMoments:
    """Mean and variance of all rows seen, by the parallel algorithm of Chan et al.

    Args:
        shape: Of a row.
        start: Statistics to go on from, None for SB3's fresh ones.

    Attributes:
        mean, var: `(1, *shape)`: NumPy adds arrays of one shape twice as fast as those it has to broadcast.
    """

    def __init__(self, shape: tuple[int, ...], start: RunningMeanStd | None = None) -> None:
        self.mean = np.zeros((1, *shape)) if start is None else start.mean[None].copy()
        self.var = np.ones((1, *shape)) if start is None else start.var[None].copy()
        self._count = np.array(1e-4 if start is None else start.count)

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was seen yet."""
        return bool(self._count < 1)

    def update(self, rows: Array) -> None:
        """Take in rows `(n, *shape)`."""
        n = len(rows)
        if n == 1:  # the mean of one row is the row, and its variance nothing
            self._combine(rows, None, 1)
        else:
            self._combine(*_moments(rows), n)

    def _combine(self, mean: Array, var: Array | None, n: int) -> None:
        # Arrays without axes are faster operands than Python's numbers.
        count, total = self._count, np.array(self._count + n)
        delta = mean - self.mean
        squares = self.var * count
        if var is not None:
            squares += var * n
        change = delta * delta
        change *= count
        if n > 1:
            change *= n
            delta *= n
        change /= total
        delta /= total
        squares += change
        squares /= total
        delta += self.mean
        self.mean, self.var, self._count = delta, squares, total

    def statistics(self) -> RunningMeanStd:
        """Give them as a checkpoint holds them."""
        return RunningMeanStd(frozen(self.mean[0]), frozen(self.var[0]), float(self._count))


def _moments(rows: Array) -> tuple[Array, Array]:
    """Give mean and variance of rows, `(1, ...)`: the sums of `np.mean` and `np.var`, one of them once."""
    if rows.dtype.kind != "f" or rows.dtype.itemsize < _SINGLE:
        return np.mean(rows, axis=0, keepdims=True), np.var(rows, axis=0, keepdims=True)
    n = len(rows)
    mean = np.add.reduce(rows, axis=0, keepdims=True) / n
    apart = rows - mean
    apart *= apart
    return mean, np.add.reduce(apart, axis=0, keepdims=True) / n


class RunningSpread:
    """Variance of all numbers seen, likewise, in Python's own numbers, which are as exact and faster.

    Args:
        start: Statistics to go on from, None for SB3's fresh ones.
    """

    def __init__(self, start: RunningMeanStd | None = None) -> None:
        found: tuple[Any, ...] = (0.0, 1.0, 1e-4) if start is None else (start.mean, start.var, start.count)
        self.mean, self.var, self.count = map(float, found)

    def update(self, numbers: NDArray[np.float64]) -> None:
        """Take in numbers `(n,)`."""
        n = len(numbers)
        mean, spread = (numbers.item(), 0.0) if n == 1 else (array.item() for array in _moments(numbers))
        delta, total = mean - self.mean, self.count + n
        squares = self.var * self.count + spread * n
        self.var = (squares + delta * delta * self.count * n / total) / total
        self.mean += delta * n / total
        self.count = total

    def statistics(self) -> RunningMeanStd:
        """Give them as a checkpoint holds them."""
        return RunningMeanStd(frozen(np.array(self.mean)), frozen(np.array(self.var)), self.count)


_IMAGE = 3  # axes of an image, or of what has channels that VecTransposeImage moves
_SINGLE = 4  # bytes of a number; NumPy sums smaller ones in larger ones


class RunningNormaliser:
    """What VecNormalize does in training.

    Args:
        settings: Flags and limits; the statistics in it are where it goes on from.
        shapes: Of what is normalised, by the keys of the observations.
        count: How many environments.
        stacks: By keys, how observations are stacks of the frames that are normalised.
        ranks: Who trains together: what one takes in, all take in, as one process with all environments does.
    """

    def __init__(
        self,
        settings: Normalizer,
        shapes: Mapping[str, tuple[int, ...]],
        count: int,
        stacks: Mapping[str, Stack] = MappingProxyType({}),
        ranks: Ranks = ALONE,
    ) -> None:
        self._settings, self._stacks, self._ranks = settings, stacks, ranks
        self._awaited: list[Array] = []
        start = settings.statistics
        self._observations = {key: RunningMoments(shape, start.get(key)) for key, shape in shapes.items()}
        self._frames = {key: FrameHistory(stack, count) for key, stack in stacks.items()}
        self._are_vectors = not stacks and all(len(shape) != _IMAGE for shape in shapes.values())
        self._rewards = RunningSpread(settings.ret_rms)
        self._epsilon = np.array(settings.epsilon)
        self._limits = _limits(settings.clip_obs), _limits(settings.clip_reward)
        self.returns: NDArray[np.float64] = np.zeros(count)

    def begin(self, observations: Observations) -> Observations:
        """Take in the observations after a reset, and normalise them."""
        self.returns = np.zeros_like(self.returns)
        seen = self._take_in(observations)
        return seen | {key: history.begin(seen[key]) for key, history in self._frames.items()}

    def take_in_first(self, observations: Observations) -> None:
        """Take in recorded observations, `(n, ...)`, where none have been seen yet; of stacks the newest."""
        if all(moments.is_fresh for moments in self._observations.values()):
            given = self._newest(observations)
            for key, moments in self._observations.items():
                moments.update(given[key])

    def meet(self, observations: Observations, rewards: NDArray[Any]) -> None:
        """Bring what all processes take in next together, in one message: `observe` and `scale` await it."""
        if self._ranks.size > 1:
            given, returns = self._newest(observations), self.returns * self._settings.gamma + rewards
            self._awaited = self._ranks.all_rows([*(given[key] for key in self._observations), returns])

    def _of_all(self, rows: Array) -> Array:
        return self._awaited.pop(0) if self._awaited else self._ranks.rows(rows)

    def observe(self, observations: Observations, ended: list[int]) -> Observations:
        """Take in observations, and normalise them by statistics that hold them already.

        Args:
            observations: Raw; the first ones of new episodes where the last step ended one.
            ended: Those environments.
        """
        seen = self._take_in(observations)
        for key, history in self._frames.items():
            seen[key] = history.push(seen[key], ended)
        return seen

    def last(self, index: int, observations: Observations) -> Observations:
        """Normalise the last observation of the episode that just ended in an environment."""
        seen = self._scaled(self._newest(observations))
        return seen | {key: history.last(index, seen[key]) for key, history in self._frames.items()}

    def again(self, observations: Observations) -> Observations:
        """Give observations as they were normalised before, after `put_back`."""
        seen = self._scaled(self._newest(observations))
        return seen | {key: history.seen(history.frames) for key, history in self._frames.items()}

    def normalise(self, observations: Observations) -> Observations:
        """`clip((x - mean) / sqrt(var + epsilon))`, without taking anything in; of stacks every frame."""
        given = self._in_layout(observations)
        seen = self._scaled(given, self._stacks)
        for key, stack in self._stacks.items():
            seen[key][missing(given[key], stack)] = 0
        return seen

    @property
    def frames(self) -> dict[str, NDArray[np.float32]]:
        """The normalised frames that are seen now, by the keys of the observations that are stacks."""
        return {key: history.frames for key, history in self._frames.items()}

    def put_back(self, frames: Mapping[str, Array]) -> None:
        """Take in what `frames` gave."""
        for key, history in self._frames.items():
            history.frames = np.array(frames[key]).reshape(history.frames.shape)

    def _newest(self, observations: Observations) -> Observations:
        """Give what is normalised: observations, or their newest frames."""
        if self._are_vectors:
            return observations
        given = self._in_layout(observations)
        return given | {key: history.newest(given[key]) for key, history in self._frames.items()}

    def _in_layout(self, observations: Observations) -> Observations:
        """Give images their channels first where a VecTransposeImage did so before VecNormalize."""
        given = dict(observations)
        for key, moments in self._observations.items():
            stack = self._stacks.get(key)
            shape = stack.observation if stack else moments.mean.shape[1:]
            if len(shape) == _IMAGE and given[key].shape[1:] != shape:
                given[key] = given[key].transpose(0, 3, 1, 2)
        return given

    def _take_in(self, observations: Observations) -> Observations:
        given = self._newest(observations)
        for key, moments in self._observations.items():
            moments.update(self._of_all(given[key]))
        return self._scaled(given)

    def _scaled(
        self, given: Observations, stacks: Mapping[str, Stack] = MappingProxyType({})
    ) -> Observations:
        """Normalise observations; of those in `stacks` every frame."""
        result = dict(given)
        for key, moments in self._observations.items():
            mean, std = moments.mean, np.sqrt(moments.var + self._epsilon)
            if stack := stacks.get(key):
                mean, std = stack.repeated(mean[0]), stack.repeated(std[0])
            scaled = given[key] - mean
            scaled /= std
            result[key] = _clipped(scaled, *self._limits[0])
        return result

    def scale(self, rewards: NDArray[Any], ended: list[int]) -> NDArray[Any]:
        """Divide rewards by the standard deviation of the discounted return, which they belong to."""
        self.returns = self.returns * self._settings.gamma + rewards
        self._rewards.update(self._of_all(self.returns))
        if self._settings.norm_reward:
            spread = math.sqrt(self._rewards.var + self._settings.epsilon)
            rewards = _clipped(rewards / np.float64(spread), *self._limits[1])
        if ended:
            self.returns[ended] = 0
        return rewards

    def normalizer(self) -> Normalizer:
        """Give settings and statistics as a checkpoint holds them."""
        found = {key: moments.statistics() for key, moments in self._observations.items()}
        single = found[""] if list(found) == [""] else None
        kept: dict[str, Any] = {**vars(self._settings), "ret_rms": self._rewards.statistics()}
        return Normalizer(**{**kept, "obs_rms": (single or found) if kept["norm_obs"] else None})


def _limits(limit: float) -> tuple[Array, Array]:
    return np.array(-limit), np.array(limit)


def _clipped(values: Array, low: Array, high: Array) -> NDArray[np.float32]:
    np.maximum(values, low, out=values)
    np.minimum(values, high, out=values)
    return values.astype(np.float32)
