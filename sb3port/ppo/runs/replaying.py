"""One update of our own PPO on recorded steps, beginning from a checkpoint."""

import numpy as np
import torch

from sb3port.checkpoint.checkpoint import Array, Checkpoint
from sb3port.checkpoint.frames import stacks_of
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.weights import load_tensors
from sb3port.parity.observations.transitions import Transitions
from sb3port.ppo.engines.base import Learner, StepSizes
from sb3port.ppo.engines.table import make_engine
from sb3port.ppo.hyperparameters import Hyperparameters
from sb3port.ppo.rollout.buffer import Rollout, empty_rollout, store
from sb3port.ppo.rollout.normalisation import RunningNormaliser
from sb3port.ppo.rollout.random_state import undisturbed
from sb3port.ppo.runs.starting import optimizer_of


def our_update(
    checkpoint: Checkpoint, steps: Transitions, sizes: StepSizes, settings: Hyperparameters
) -> dict[str, Array]:
    """Learn from recorded steps.

    Args:
        checkpoint: The policy and its optimiser.
        steps: What to learn from.
        sizes: The values of the schedules.
        settings: The other hyperparameters.

    Returns:
        All weights, and the optimiser's state as `<parameter>/<name>`.
    """
    with undisturbed():
        policy = ActorCritic(checkpoint.spec)
    load_tensors(policy, checkpoint.tensors)
    optimizer = checkpoint.training.optimizer_class, optimizer_of(checkpoint, policy)
    engine = make_engine("exact", Learner(checkpoint.spec, policy, settings, *optimizer, torch.device("cpu")))
    engine.update(_rollout(checkpoint, steps, settings), sizes)
    names = [name for name, _ in policy.named_parameters()]
    moments = {
        f"{names[number]}/{key}": np.asarray(array)
        for number, row in engine.optimizer().state.items()
        for key, array in row.items()
    }
    return engine.tensors() | moments


def _rollout(checkpoint: Checkpoint, steps: Transitions, settings: Hyperparameters) -> Rollout:
    """Put the steps into a rollout of one environment, which begins a new episode after the last."""
    rollout = empty_rollout(checkpoint.spec, len(steps), 1)
    seen, normalizer = dict(steps.observations.parts), checkpoint.normalizer
    if normalizer is not None:
        shapes = {key: rms.mean.shape for key, rms in normalizer.statistics.items()}
        stacks = stacks_of(normalizer, checkpoint.spec.observation_space)
        seen = RunningNormaliser(normalizer, shapes, 1, stacks).normalise(seen)
    for index in range(len(steps)):
        for key, room in rollout.observations.items():
            store(room, index, seen[key][index : index + 1])
    rollout.actions[:, 0] = steps.actions
    numbers = ("rewards", "starts", "values", "log_probs")
    for name in numbers:
        getattr(rollout, name)[:, 0] = getattr(steps, name)
    if rollout.masks is not None:
        rollout.masks[:, 0] = steps.observations.masks
    rollout.finish(np.zeros(1, np.float32), steps.ended[-1:], settings.gamma, settings.gae_lambda)
    return rollout
