"""Minibatches of a rollout: which transitions, in SB3's order and with its random numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sb3port.checkpoint.checkpoint import Array
from sb3port.networks.recurrent import RNNStates
from sb3port.ppo.engines.batches import Batches
from sb3port.ppo.rollout.buffer import Rollout

Normalise: TypeAlias = Callable[[NDArray[np.float32], NDArray[Any]], NDArray[np.float32]]


@dataclass(frozen=True)
class Minibatch:
    """Transitions `(B, ...)` as tensors.

    Args:
        batch: Observations and masks as the policy takes them.
        actions: As the policy gave them.
        old_values, old_log_prob, advantages, returns: As in the rollout.
        states: Recurrent policies: states of actor and critic before each sequence.
        starts: Recurrent policies: where episodes start.
        where: Recurrent policies: which rows are no padding.
    """

    batch: dict[str, Tensor]
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    states: RNNStates | None = None
    starts: Tensor | None = None
    where: Tensor | None = None


def shuffled(
    rollout: Rollout, size: int, batches: Batches, device: torch.device, normalise: Normalise
) -> Iterator[Minibatch]:
    """Give all transitions once, in a random order: `RolloutBuffer.get`.

    Args:
        rollout: By environment.
        size: Transitions in a minibatch.
        batches: Makes batches of observations.
        device: Where the policy is.
        normalise: Called with advantages and their order, before they are taken.
    """
    order = np.random.permutation(rollout.size)
    rollout = replace(rollout, advantages=normalise(rollout.advantages, order))
    for start in range(0, rollout.size, size):
        yield _rows(rollout, order[start : start + size], batches, device)


def sequences(
    rollout: Rollout, count: int, size: int, batches: Batches, device: torch.device, normalise: Normalise
) -> Iterator[Minibatch]:
    """Give all transitions once, in their order but from a random one on: `RecurrentRolloutBuffer.get`.

    Args:
        rollout: By environment.
        count: How many environments.
        size: Transitions in a minibatch, without padding.
        batches: Makes batches of observations.
        device: Where the policy is.
        normalise: Called with advantages and their order, before they are taken.
    """
    order = np.roll(np.arange(rollout.size), -np.random.randint(rollout.size))
    rollout = replace(rollout, advantages=normalise(rollout.advantages, order))
    changes = np.zeros((count, rollout.size // count), np.bool_)
    changes[:, 0] = True
    begins = changes.reshape(-1) | (rollout.starts != 0)
    for start in range(0, rollout.size, size):
        rows = order[start : start + size]
        begin = begins[rows]
        begin[0] = True
        yield _sequences(rollout, rows, np.flatnonzero(begin), batches, device)


def _rows(rollout: Rollout, rows: NDArray[Any], batches: Batches, device: torch.device) -> Minibatch:
    def tensor(array: Array) -> Tensor:
        return torch.as_tensor(array[rows], device=device)

    masks = None if rollout.masks is None else rollout.masks[rows]
    return Minibatch(
        batches({key: array[rows] for key, array in rollout.observations.items()}, masks),
        tensor(rollout.actions),
        tensor(rollout.values),
        tensor(rollout.log_probs),
        tensor(rollout.advantages),
        tensor(rollout.returns),
    )


def _sequences(
    rollout: Rollout, rows: NDArray[Any], begins: NDArray[Any], batches: Batches, device: torch.device
) -> Minibatch:
    """Cut rows where sequences begin, and pad the sequences with zeros to the longest one."""
    memory = rollout.memory
    assert memory is not None
    ends = [*begins[1:], len(rows)]

    def padded(array: Array) -> Array:
        parts = [torch.as_tensor(array[rows[a:b]]) for a, b in zip(begins, ends, strict=True)]
        return pad_sequence(parts, batch_first=True).flatten(0, 1).numpy()

    plain = Rollout(
        {key: padded(array) for key, array in rollout.observations.items()},
        *(padded(getattr(rollout, name)) for name in _PADDED),
    )
    states = torch.as_tensor(memory[rows[begins]], device=device).permute(1, 2, 0, 3).contiguous()
    return replace(
        _rows(plain, np.arange(plain.size), batches, device),
        states=RNNStates((states[0], states[1]), (states[2], states[3])),
        starts=torch.as_tensor(plain.starts, device=device),
        where=torch.as_tensor(padded(np.ones(rollout.size, np.bool_)), device=device),
    )


_PADDED = ("actions", "rewards", "starts", "values", "log_probs", "advantages", "returns")
