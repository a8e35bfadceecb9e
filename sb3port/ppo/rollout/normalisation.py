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
from sb3port.ppo.rollout.environments import Observations
from sb3port.ppo.rollout.stacking import FrameHistory


class RunningMoments:
    """Mean and variance of all rows seen, by the parallel algorithm of Chan et al.

    Args:
        shape: Of a row.
        start: Statistics to go on from, None for SB3's fresh ones.
    """

    def __init__(self, shape: tuple[int, ...], start: RunningMeanStd | None = None) -> None:
        self.mean = np.zeros(shape) if start is None else start.mean.copy()
        self.var = np.ones(shape) if start is None else start.var.copy()
        self.count: float = 1e-4 if start is None else start.count

    def update(self, rows: Array) -> None:
        """Take in rows `(n, *shape)`."""
        n = len(rows)
        if n == 1:  # the mean of one row is the row, and its variance nothing
            self._combine(rows[0], None, 1)
        else:
            self._combine(np.mean(rows, axis=0), np.var(rows, axis=0), n)

    def _combine(self, mean: Array, var: Array | None, n: int) -> None:
        delta = mean - self.mean
        total = self.count + n
        squares = self.var * self.count
        if var is not None:
            squares = squares + var * n
        squares += np.square(delta) * self.count * n / total
        self.mean = self.mean + delta * n / total
        self.var = squares / total
        self.count = n + self.count

    def statistics(self) -> RunningMeanStd:
        """Give them as a checkpoint holds them."""
        return RunningMeanStd(frozen(self.mean), frozen(self.var), float(self.count))


class RunningNormaliser:
    """What VecNormalize does in training.

    Args:
        settings: Flags and limits; the statistics in it are where it goes on from.
        shapes: Of what is normalised, by the keys of the observations.
        count: How many environments.
        stacks: By keys, how observations are stacks of the frames that are normalised.
    """

    def __init__(
        self,
        settings: Normalizer,
        shapes: Mapping[str, tuple[int, ...]],
        count: int,
        stacks: Mapping[str, Stack] = MappingProxyType({}),
    ) -> None:
        self._settings, self._stacks = settings, stacks
        start = settings.statistics
        self._observations = {key: RunningMoments(shape, start.get(key)) for key, shape in shapes.items()}
        self._frames = {key: FrameHistory(stack, count) for key, stack in stacks.items()}
        self._rewards = RunningMoments((), settings.ret_rms)
        self.returns: NDArray[np.float64] = np.zeros(count)

    def begin(self, observations: Observations) -> Observations:
        """Take in the observations after a reset, and normalise them."""
        self.returns = np.zeros_like(self.returns)
        seen = self._take_in(observations)
        return seen | {key: history.begin(seen[key]) for key, history in self._frames.items()}

    def observe(self, observations: Observations, ended: list[int]) -> Observations:
        """Take in observations, and normalise them by statistics that hold them already.

        Args:
            observations: Raw; the first ones of new episodes where the last step ended one.
            ended: Those environments.
        """
        seen = self._take_in(observations)
        return seen | {key: history.push(seen[key], ended) for key, history in self._frames.items()}

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
        given = self._in_layout(observations)
        return given | {key: history.newest(given[key]) for key, history in self._frames.items()}

    def _in_layout(self, observations: Observations) -> Observations:
        """Give images their channels first where a VecTransposeImage did so before VecNormalize."""
        given = dict(observations)
        for key, moments in self._observations.items():
            stack = self._stacks.get(key)
            shape = stack.observation if stack else moments.mean.shape
            if len(shape) == 3 and given[key].shape[1:] != shape:
                given[key] = given[key].transpose(0, 3, 1, 2)
        return given

    def _take_in(self, observations: Observations) -> Observations:
        given = self._newest(observations)
        for key, moments in self._observations.items():
            moments.update(given[key])
        return self._scaled(given)

    def _scaled(
        self, given: Observations, stacks: Mapping[str, Stack] = MappingProxyType({})
    ) -> Observations:
        """Normalise observations; of those in `stacks` every frame."""
        result = dict(given)
        for key, moments in self._observations.items():
            mean, std = moments.mean, np.sqrt(moments.var + self._settings.epsilon)
            if stack := stacks.get(key):
                mean, std = stack.repeated(mean), stack.repeated(std)
            result[key] = _clipped((given[key] - mean) / std, self._settings.clip_obs)
        return result

    def scale(self, rewards: NDArray[Any], ended: list[int]) -> NDArray[Any]:
        """Divide rewards by the standard deviation of the discounted return, which they belong to."""
        self.returns = self.returns * self._settings.gamma + rewards
        self._rewards.update(self.returns)
        if self._settings.norm_reward:
            spread = math.sqrt(self._rewards.var + self._settings.epsilon)
            rewards = _clipped(rewards / np.float64(spread), self._settings.clip_reward)
        if ended:
            self.returns[ended] = 0
        return rewards

    def normalizer(self) -> Normalizer:
        """Give settings and statistics as a checkpoint holds them."""
        found = {key: moments.statistics() for key, moments in self._observations.items()}
        single = found[""] if list(found) == [""] else None
        kept: dict[str, Any] = {**vars(self._settings), "ret_rms": self._rewards.statistics()}
        return Normalizer(**{**kept, "obs_rms": (single or found) if kept["norm_obs"] else None})


def _clipped(values: Array, limit: float) -> NDArray[np.float32]:
    np.maximum(values, -limit, out=values)
    np.minimum(values, limit, out=values)
    return values.astype(np.float32)
