"""The loop between policy and environments: SB3's `collect_rollouts`.

Source: `stable_baselines3/common/on_policy_algorithm.py` and its descendants in sb3-contrib.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.errors import TrainingDiverged
from sb3port.ppo.engines.base import Decision, Engine, Recall
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.rollout.buffer import Rollout, empty_rollout, store
from sb3port.ppo.rollout.environments import Environments, Observations, Step, single
from sb3port.ppo.rollout.episodes import EndedEpisode
from sb3port.ppo.rollout.normalisation import RunningNormaliser

_WINDOW = 100  # episodes in the means that are shown, as in SB3


@dataclass
class Progress:
    """Where the collection is, between two rollouts.

    Args:
        observations: What is seen now, not normalised.
        ended: Where the last step ended an episode, bool `(n,)`; all true before the first step.
        memory: State of a recurrent policy, as in `Recall`, else None.
        episodes: The last episodes that ended, as return, length and success.
    """

    observations: Observations
    ended: NDArray[np.bool_]
    memory: NDArray[np.float32] | None = None
    episodes: deque[tuple[float, int, bool | None]] = field(default_factory=lambda: deque(maxlen=_WINDOW))


class _CutOff(NamedTuple):
    """The last observation of an episode that a time limit ended, as the policy sees it, `(1, ...)`."""

    step: int
    env: int
    seen: Observations
    recall: Recall | None


class Collector:
    """Fills rollouts.

    Args:
        spec: The policy.
        settings: The hyperparameters.
        envs: The environments.
        normaliser: What VecNormalize does, or None.
        engine: Who acts.
        use_masking: Whether a maskable policy is told which actions are allowed, as in sb3-contrib's `learn`.
    """

    def __init__(
        self,
        spec: PolicySpec,
        settings: Hyperparameters,
        envs: Environments,
        normaliser: RunningNormaliser | None,
        engine: Engine,
        use_masking: bool = True,
    ) -> None:
        self._spec, self._settings, self._envs = spec, settings, envs
        self._masked = spec.maskable and use_masking
        self._normaliser, self._engine = normaliser, engine
        self._to_env = environment_actions(envs.action_space, spec)
        self._rollout = empty_rollout(spec, settings.n_steps, envs.count)
        self.progress = Progress({}, np.ones(envs.count, np.bool_))
        self._seen: Observations = {}
        self._none_ended = np.zeros(envs.count, np.bool_)
        self._cut_off: list[_CutOff] = []

    def begin(self, seed: int | None) -> None:
        """Begin the first episodes.

        Raises:
            UsageError: The environments do not say which actions are allowed.
        """
        count, rollout = self._envs.count, self._rollout
        observations = self._envs.reset(seed)
        if self._masked:
            self._envs.check_masks()
        memory = None if rollout.memory is None else np.zeros_like(rollout.memory[0])
        self.progress = Progress(observations, np.ones(count, np.bool_), memory)
        self._seen = self._normaliser.begin(observations) if self._normaliser else observations

    def check(self, progress: Progress) -> None:
        """Refuse what no collector of these environments and this policy comes to.

        Raises:
            ValueError: The memory is that of another policy.
        """
        room = None if self._rollout.memory is None else self._rollout.memory[0]
        memory = progress.memory
        if (room is None) != (memory is None):
            raise ValueError("its memory is that of another policy")
        if (
            room is not None
            and memory is not None
            and (room.shape, room.dtype) != (memory.shape, memory.dtype)
        ):
            raise ValueError("its memory is that of another policy")

    def go_on(self, progress: Progress) -> None:
        """Go on from where another collector was."""
        self.progress = progress
        seen = progress.observations
        self._seen = self._normaliser.again(seen) if self._normaliser else seen

    def collect(self) -> Rollout:
        """Let the policy act for `n_steps` steps; the next call writes into the same rollout.

        Raises:
            TrainingDiverged: A reward or an observation is NaN or infinite.
        """
        settings, frequency = self._settings, self._settings.sde_sample_freq
        if settings.use_sde:
            self._engine.reset_noise(self._envs.count)
        for step in range(settings.n_steps):
            if settings.use_sde and frequency > 0 and step % frequency == 0:
                self._engine.reset_noise(self._envs.count)
            self._advance(step)
        self._add_values()
        last = self._engine.values(self._seen, self._recall())
        self._rollout.finish(last, self.progress.ended, settings.gamma, settings.gae_lambda)
        self._refuse_unfinite()
        return self._rollout

    def _advance(self, index: int) -> None:
        rollout, progress = self._rollout, self.progress
        masks = self._envs.masks() if self._masked else None
        decision = self._decide(masks)
        self._write(index, decision, masks)
        result = self._envs.step(self._to_env(decision.actions))
        progress.observations, progress.memory = result.observations, decision.memory
        rollout.rewards[index] = self._receive(result)
        progress.ended = self._none_ended
        if result.ended:
            self._end(index, result.ended)

    def _end(self, index: int, episodes: Sequence[EndedEpisode]) -> None:
        """Take note of the episodes that ended with a step."""
        progress = self.progress
        progress.ended = np.zeros(self._envs.count, np.bool_)
        for episode in episodes:
            progress.ended[episode.index] = True
            progress.episodes.append((episode.total, episode.length, episode.success))
            if not episode.truncated:
                continue
            cut_off = self._last_of(index, episode)
            if self._engine.values_one_by_one:
                self._add_value(cut_off, self._engine.values(cut_off.seen, cut_off.recall)[0])
            else:
                self._cut_off.append(cut_off)

    def _decide(self, masks: Array | None) -> Decision:
        try:
            return self._engine.act(self._seen, masks, self._recall())
        except ValueError:  # torch's distributions refuse NaN
            self._refuse_unfinite()
            raise

    def _write(self, index: int, decision: Decision, masks: Array | None) -> None:
        rollout, progress = self._rollout, self.progress
        for key, room in rollout.observations.items():
            store(room, index, self._seen[key])
        actions = rollout.actions[index]
        actions[:] = decision.actions.reshape(actions.shape)
        rollout.starts[index] = progress.ended
        rollout.values[index] = decision.values
        rollout.log_probs[index] = decision.log_probs
        if rollout.masks is not None:
            rollout.masks[index] = True if masks is None else masks
        if rollout.memory is not None:
            rollout.memory[index] = progress.memory

    def _receive(self, result: Step) -> NDArray[Any]:
        """Normalise what the environments gave."""
        if self._normaliser is None:
            self._seen = result.observations
            return result.rewards
        ended = [episode.index for episode in result.ended]
        self._normaliser.meet(result.observations, result.rewards)
        self._seen = self._normaliser.observe(result.observations, ended)
        return self._normaliser.scale(result.rewards, ended)

    def _last_of(self, index: int, episode: EndedEpisode) -> "_CutOff":
        """Give what the policy would have seen next, had a time limit not ended the episode."""
        seen = single(self._envs.observation_space, episode.observation)
        if self._normaliser is not None:
            seen = self._normaliser.last(episode.index, seen)
        memory, recall = self.progress.memory, None
        if memory is not None:
            recall = Recall(memory[[episode.index]], np.zeros(1, np.float32))
        return _CutOff(index, episode.index, seen, recall)

    def _add_value(self, cut_off: "_CutOff", value: np.float32) -> None:
        """Add to a reward what a time limit cut off: the discounted value of the last observation."""
        self._rollout.rewards[cut_off.step, cut_off.env] += np.float32(self._settings.gamma) * value

    def _add_values(self) -> None:
        """Do so for all that was cut off, where the engine takes its observations together."""
        if not self._cut_off:
            return
        rows = [cut_off.seen for cut_off in self._cut_off]
        seen = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
        recalls = [cut_off.recall for cut_off in self._cut_off if cut_off.recall is not None]
        recall = Recall(*map(np.concatenate, zip(*recalls, strict=True))) if recalls else None
        for cut_off, value in zip(self._cut_off, self._engine.values(seen, recall), strict=True):
            self._add_value(cut_off, value)
        self._cut_off.clear()

    def _recall(self) -> Recall | None:
        memory = self.progress.memory
        return None if memory is None else Recall(memory, self.progress.ended.astype(np.float32))

    def _refuse_unfinite(self) -> None:
        """Name what is NaN or infinite."""
        rollout = self._rollout
        named = {"rewards": rollout.rewards, "values": rollout.values}
        seen = {f"observations {key}".rstrip(): rows for key, rows in rollout.observations.items()}
        now = {f"observations {key}".rstrip(): rows for key, rows in self._seen.items()}
        for group in (seen, now, named):
            for name, array in group.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise TrainingDiverged(f"the {name} of the training hold NaN or infinite numbers")


def environment_actions(space: spaces.Space[Any], spec: PolicySpec) -> Callable[[Array], Array]:
    """Give the function that turns actions of the policy into what SB3 gives environments.

    sb3-contrib's RecurrentPPO clips actions even where they are squashed.
    """
    if isinstance(space, spaces.Box):
        if spec.squash_output and spec.lstm_hidden_size is None:
            low, high = space.low, space.high
            return lambda actions: low + (0.5 * (actions.reshape(-1, *space.shape) + 1.0) * (high - low))
        return _Clip(space)
    if isinstance(space, spaces.MultiBinary) and not spec.maskable:
        return lambda actions: actions.astype(np.float32)
    return lambda actions: actions


class _Clip:
    """Gives actions the shape of their space, and clips them to it."""

    def __init__(self, space: spaces.Box) -> None:
        self._space = space
        self._low, self._high = space.low[None], space.high[None]

    def __call__(self, actions: Array) -> Array:
        rows = actions.reshape(-1, *self._space.shape)
        if len(self._low) != len(rows):  # NumPy takes half the time for limits of the same shape
            counts = (len(rows), *(1 for _ in self._space.shape))
            self._low, self._high = np.tile(self._space.low, counts), np.tile(self._space.high, counts)
        clipped: Array = np.maximum(rows, self._low)
        return np.minimum(clipped, self._high, out=clipped)
