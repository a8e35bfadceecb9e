"""Returns of the policy as it is, with deterministic actions, beside the training."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.environments.making import EPISODE_LENGTH, time_limit
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.recurrent import LSTMState
from sb3port.networks.weights import load_tensors
from sb3port.ppo.engines.base import Engine
from sb3port.ppo.engines.batches import Batches
from sb3port.ppo.rollout.environments import Observations, single
from sb3port.ppo.rollout.episodes import Episodes, MakeEnv
from sb3port.ppo.rollout.normalisation import RunningNormaliser
from sb3port.ppo.rollout.random_state import undisturbed
from sb3port.ppo.runs.collecting import environment_actions
from sb3port.ppo.runs.evaluations import EvalResult


class Evaluator:
    """Evaluates in an environment of its own, without touching the random numbers of the training.

    Args:
        spec: The policy.
        make: Makes the environment.
        seeds: Of the episodes, the same each time.
        use_masking: Whether a maskable policy is told which actions are allowed.
    """

    def __init__(
        self, spec: PolicySpec, make: MakeEnv, seeds: Sequence[int], use_masking: bool = True
    ) -> None:
        self._seeds, self._masked = seeds, spec.maskable and use_masking
        with undisturbed():
            self._policy = ActorCritic(spec).eval()
            self._env = make()
        self._batches = Batches(spec, torch.device("cpu"))
        self._to_env = environment_actions(self._env.action_space, spec)
        self._longest = math.inf if time_limit(self._env) else EPISODE_LENGTH

    def evaluate(self, engine: Engine, normaliser: RunningNormaliser | None, timesteps: int) -> EvalResult:
        """Run the engine's policy.

        Episodes that nothing limits are cut as in `sb3port.environments.rollouts`.

        Args:
            engine: Whose policy.
            normaliser: By what its observations are normalised, or None.
            timesteps: Environment steps of the training that are done.
        """
        load_tensors(self._policy, engine.tensors())
        with undisturbed():
            episodes = [self._run(seed, normaliser) for seed in self._seeds]
        returns, lengths, successes = zip(*episodes, strict=True)
        told = None if None in successes else successes
        return EvalResult(timesteps, returns, lengths, told)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _run(self, seed: int, normaliser: RunningNormaliser | None) -> tuple[float, int, bool | None]:
        episodes, total, length = Episodes(self._env, 0), 0.0, 0
        observation, state, ended = episodes.reset(seed), None, None
        while ended is None and length < self._longest:
            seen = single(self._env.observation_space, observation)
            seen = normaliser.normalise(seen) if normaliser else seen
            masks = episodes.mask()[None] if self._masked else None
            action, state = self._act(seen, masks, state)
            observation, reward, ended = episodes.step(action)
            total, length = total + float(reward), length + 1
        return total, length, None if ended is None else ended.success

    def _act(
        self, seen: Observations, masks: Array | None, state: LSTMState | None
    ) -> tuple[Any, LSTMState | None]:
        actions, state = self._policy.predict(self._batches(seen, masks), True, state)
        return self._to_env(actions.numpy())[0], state
