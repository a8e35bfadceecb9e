"""Behaviour cloning: a policy learns to do what demonstrations did, before PPO begins.

The loss of choices is that of imitation's `BC`, `-log pi(a, s)`, and so is the optimiser, Adam at 1e-3. That
of Gaussians is the same for a deviation of 1, and theirs is left as it is: who was shown what to do has not
been shown how far to explore, and demonstrations without chance would leave nothing of it.

Source: `imitation/algorithms/bc.py`, version 1.0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.errors import TrainingDiverged
from sb3port.networks.actor_critic import ActorCritic
from sb3port.parity.observations.demonstrations import Demonstrations
from sb3port.ppo.engines.batches import Batches
from sb3port.ppo.engines.frozen import of_actor
from sb3port.ppo.rollout.buffer import empty_rollout, store
from sb3port.ppo.rollout.environments import Observations
from sb3port.ppo.rollout.normalisation import RunningNormaliser
from sb3port.ppo.rollout.random_state import undisturbed

_LEARNING_RATE = 1e-3
_EXPLORATION = "log_std"


@dataclass(frozen=True)
class Cloning:
    """How cloning went.

    Args:
        steps: Of demonstrations.
        losses: Of each epoch, the mean of `ActorCritic.cloning_loss`.
    """

    steps: int
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Lesson:
    """What is to be cloned, and how.

    Args:
        demonstrations: What was seen and done.
        epochs: Passes over it.
        batch_size: Steps in a minibatch.
        seed: Of their order.
        device: Where to compute.
    """

    demonstrations: Demonstrations
    epochs: int
    batch_size: int
    seed: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.demonstrations.actions)

    def orders(self) -> Iterator[tuple[int, list[Array]]]:
        """Give, by the number of the epoch, the steps of each of its minibatches."""
        generator = np.random.default_rng(self.seed)
        for epoch in range(self.epochs):
            order = generator.permutation(len(self))
            yield epoch, np.split(order, range(self.batch_size, len(order), self.batch_size))


def clone(policy: ActorCritic, normaliser: RunningNormaliser | None, lesson: Lesson) -> Cloning:
    """Let a policy learn from demonstrations; random numbers of the training are left alone.

    Args:
        policy: Without a memory.
        normaliser: By which observations are normalised. One that has seen nothing yet sees these.
        lesson: What, and how.

    Raises:
        TrainingDiverged: The loss became NaN or infinite.
    """
    spec, demonstrations = policy.spec, lesson.demonstrations
    seen = dict(demonstrations.observations.parts)
    if normaliser is not None:
        normaliser.take_in_first(seen)
        seen = normaliser.normalise(seen)
    seen, masks = _as_stored(seen, spec), demonstrations.observations.masks
    actions = torch.as_tensor(demonstrations.actions, device=lesson.device)
    policy.to(lesson.device).train()
    batches, losses = Batches(spec, lesson.device), np.zeros((lesson.epochs, 2))
    optimizer = torch.optim.Adam(_learning(policy), _LEARNING_RATE)
    with undisturbed():
        for epoch, minibatches in lesson.orders():
            for rows in minibatches:
                allowed = None if masks is None else masks[rows]
                batch = batches({key: array[rows] for key, array in seen.items()}, allowed)
                loss = policy.cloning_loss(batch, actions[rows]).mean()
                losses[epoch] += _descend(optimizer, loss) * len(rows), len(rows)
    policy.zero_grad()
    policy.eval()
    return Cloning(len(lesson), tuple((losses[:, 0] / losses[:, 1]).tolist()))


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    value = float(loss.item())
    if not np.isfinite(value):
        raise TrainingDiverged("the loss of cloning the demonstrations became NaN or infinite")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return value


def _learning(policy: ActorCritic) -> list[Tensor]:
    named = dict(policy.named_parameters())
    return [named[name] for name in of_actor(named) if name != _EXPLORATION]


def _as_stored(seen: Observations, spec: PolicySpec) -> Observations:
    """Give observations as rollouts hold them: floats of 32 bits, images with their channels first."""
    rooms = empty_rollout(spec, 1, len(next(iter(seen.values())))).observations
    for key, room in rooms.items():
        store(room, 0, seen[key])
    return {key: room[0] for key, room in rooms.items()}
