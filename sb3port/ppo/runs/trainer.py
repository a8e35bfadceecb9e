"""The training itself: collect a rollout, learn from it, and so on.

Source: `stable_baselines3/common/on_policy_algorithm.py`, `OnPolicyAlgorithm.learn`.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box
from sb3port.errors import TrainingDiverged
from sb3port.families.specs import unfinite
from sb3port.ppo.engines.base import Engine, StepSizes, UpdateStatistics
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.environments import Environments
from sb3port.ppo.rollout.normalisation import RunningNormaliser
from sb3port.ppo.runs.cloning import Cloning
from sb3port.ppo.runs.collecting import Collector
from sb3port.ppo.runs.settings import RunSettings
from sb3port.ppo.runs.several import collect, explained_variance, means_of_all, overrides_of_first


@dataclass
class Counters:
    """How far a training is.

    Args:
        num_timesteps: Environment steps done, those of an earlier training included.
        iterations: Rollouts of this training.
        n_updates: Epochs begun, as SB3 counts them.
        best_return: Of the best evaluation, None before the first.
    """

    num_timesteps: int = 0
    iterations: int = 0
    n_updates: int = 0
    best_return: float | None = None


@dataclass(frozen=True)
class Beginning:
    """What came before the first rollout, of which a run that goes on knows the reference alone.

    Args:
        cloned: How demonstrations were cloned, None where there are none.
        reference: Weights of the policy that the training stays near, None without one.
    """

    cloned: Cloning | None = None
    reference: Mapping[str, Array] | None = None


@dataclass(frozen=True)
class Iteration:
    """What one rollout and the update after it gave, under the names that SB3 logs."""

    values: dict[str, float | int | None]


class Trainer:
    """A training that can go on, rollout after rollout.

    Args:
        settings: What it is told.
        spec: The policy.
        envs: The environments.
        normaliser: What VecNormalize does, or None.
        engine: Who acts and learns.
        optimizer_class: Name of the engine's optimiser in `torch.optim`.
        counters: How far it is.
        why_engine: Why this engine, or what another one would save; empty where there is nothing to say.
        ranks: The processes that train together, each of which has such a trainer.
        beginning: What came before the first rollout.

    Attributes:
        overrides: Values in place of those of schedules, by the names of `StepSizes`; None for the schedule.
    """

    def __init__(
        self,
        settings: RunSettings,
        spec: PolicySpec,
        envs: Environments,
        normaliser: RunningNormaliser | None,
        engine: Engine,
        optimizer_class: str,
        counters: Counters,
        why_engine: str = "",
        ranks: Ranks = ALONE,
        beginning: Beginning | None = None,
    ) -> None:
        self.beginning = beginning or Beginning()
        self.settings, self.spec, self.envs = settings, spec, envs
        self.normaliser, self.engine, self.counters = normaliser, engine, counters
        self.optimizer_class, self.why_engine, self.ranks = optimizer_class, why_engine, ranks
        parts = (settings.hyperparameters, envs, normaliser, engine)
        self.collector = Collector(spec, *parts, settings.use_masking)
        self.overrides: dict[str, float | None] = {}
        self._began = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether all steps are done."""
        return self.counters.num_timesteps >= self.settings.until

    def iterate(self, collected: Callable[[Rollout], None] = lambda _: None) -> Iteration:
        """Collect one rollout and learn from it.

        Args:
            collected: Called with the rollout, before anything is learnt from it.

        Raises:
            TrainingDiverged: Something became NaN or infinite.
        """
        began, done = time.perf_counter(), self.counters.num_timesteps
        rollout = collect(self.collector, self.ranks)
        self.counters.num_timesteps += rollout.size * self.ranks.size
        self.counters.iterations += 1
        collected(rollout)
        sizes = self._step_sizes(frozen=done < self.settings.actor_from)
        statistics = self._learn(rollout, sizes)
        self.counters.n_updates += statistics.epochs
        seconds = time.perf_counter() - began
        return Iteration(self._report(rollout, sizes, statistics, seconds))

    def _learn(self, rollout: Rollout, sizes: StepSizes) -> UpdateStatistics:
        try:
            update = means_of_all(self.engine.update(rollout, sizes), self.ranks)
        except ValueError:  # torch's distributions refuse NaN
            self._refuse_unfinite_weights()
            raise
        losses = (update.loss, update.policy_gradient_loss, update.value_loss)
        if not all(map(math.isfinite, losses)):
            raise TrainingDiverged("the loss of the training became NaN or infinite")
        self._refuse_unfinite_weights()
        return update

    def _refuse_unfinite_weights(self) -> None:
        if unfinite(self.spec, self.engine.tensors()):
            raise TrainingDiverged("weights of the policy became NaN or infinite")

    def _step_sizes(self, frozen: bool) -> StepSizes:
        """Give the values of the schedules, at the share of all steps that remains."""
        remaining = 1.0 - float(self.counters.num_timesteps) / float(self.settings.until)
        sizes = StepSizes.of(self.settings.hyperparameters, remaining)
        overrides = overrides_of_first(self.overrides, self.ranks)
        given: dict[str, Any] = {name: size for name, size in overrides.items() if size is not None}
        sizes = replace(sizes, **given, actor_frozen=frozen)
        for name, value in vars(sizes).items():
            if value is not None and not math.isfinite(value):
                raise TrainingDiverged(f"{name} is {value} when {remaining:.0%} of the training remains")
        return sizes

    def _report(
        self, rollout: Rollout, sizes: StepSizes, update: UpdateStatistics, seconds: float
    ) -> dict[str, float | int | None]:
        episodes = self.collector.progress.episodes
        successes = [success for _, _, success in episodes if success is not None]
        return {
            "time/total_timesteps": self.counters.num_timesteps,
            "time/iterations": self.counters.iterations,
            "time/fps": round(rollout.size * self.ranks.size / max(seconds, 1e-9), 1),
            "time/time_elapsed": int(time.monotonic() - self._began),
            "rollout/ep_rew_mean": _mean([total for total, _, _ in episodes]),
            "rollout/ep_len_mean": _mean([length for _, length, _ in episodes]),
            "rollout/success_rate": _mean(successes),
            "train/n_updates": self.counters.n_updates,
            "train/learning_rate": sizes.learning_rate,
            "train/clip_range": sizes.clip_range,
            "train/clip_range_vf": sizes.clip_range_vf,
            "train/entropy_loss": update.entropy_loss,
            "train/policy_gradient_loss": update.policy_gradient_loss,
            "train/value_loss": update.value_loss,
            "train/approx_kl": update.approx_kl,
            "train/clip_fraction": update.clip_fraction,
            "train/loss": update.loss,
            **({} if update.reference_kl is None else {"train/reference_kl": update.reference_kl}),
            "train/explained_variance": explained_variance(rollout, self.ranks),
            **self._spread(),
        }

    def _spread(self) -> dict[str, float]:
        """Give the mean standard deviation of Gaussian actions, which SB3 logs where there is one."""
        is_gaussian = isinstance(self.spec.action_space, Box)
        log_std = self.engine.tensors().get("log_std") if is_gaussian else None
        return {} if log_std is None else {"train/std": float(np.exp(log_std).mean())}


def _mean(values: "list[float] | list[int] | list[bool]") -> float | None:
    return float(np.mean(values)) if values else None
