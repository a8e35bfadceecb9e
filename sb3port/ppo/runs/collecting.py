"""The loop between policy and environments: SB3's `collect_rollouts`.

Source: `stable_baselines3/common/on_policy_algorithm.py` and its descendants in sb3-contrib.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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

    def go_on(self, progress: Progress) -> None:
        """Go on from where another collector was."""
        self.progress = progress
        seen = progress.observations
        self._seen = self._normaliser.normalise(seen) if self._normaliser else seen

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
        last = self._engine.values(self._seen, self._recall())
        self._rollout.finish(last, self.progress.ended, settings.gamma, settings.gae_lambda)
        self._refuse_unfinite()
        return self._rollout

    def _advance(self, index: int) -> None:
        rollout, progress = self._rollout, self.progress
        masks = self._envs.masks() if self._masked else None
        decision = self._decide(masks)
        result = self._envs.step(self._to_env(decision.actions))
        self._write(index, decision, masks)
        progress.observations, progress.memory = result.observations, decision.memory
        progress.ended = np.zeros(self._envs.count, np.bool_)
        rollout.rewards[index] = self._receive(result)
        for episode in result.ended:
            progress.ended[episode.index] = True
            progress.episodes.append((episode.total, episode.length, episode.success))
            if episode.truncated:
                rollout.rewards[index, episode.index] += self._value_after(episode)

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
        rollout.actions[index] = decision.actions.reshape(rollout.actions[index].shape)
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
        self._seen = self._normaliser.observe(result.observations)
        return self._normaliser.scale(result.rewards, [episode.index for episode in result.ended])

    def _value_after(self, episode: EndedEpisode) -> np.float32:
        """What a time limit cut off: the discounted value of the last observation, on its own."""
        seen = single(self._envs.observation_space, episode.observation)
        if self._normaliser is not None:
            seen = self._normaliser.normalise(seen)
        memory, recall = self.progress.memory, None
        if memory is not None:
            recall = Recall(memory[[episode.index]], np.zeros(1, np.float32))
        value: np.float32 = self._engine.values(seen, recall)[0]
        return np.float32(self._settings.gamma) * value

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
        low, high = space.low, space.high
        if spec.squash_output and spec.lstm_hidden_size is None:
            return lambda actions: low + (0.5 * (actions.reshape(-1, *space.shape) + 1.0) * (high - low))
        return lambda actions: np.minimum(np.maximum(actions.reshape(-1, *space.shape), low), high)
    if isinstance(space, spaces.MultiBinary) and not spec.maskable:
        return lambda actions: actions.astype(np.float32)
    return lambda actions: actions
