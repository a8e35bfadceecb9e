"""What the environments gave under one policy: SB3's rollout buffer as plain arrays.

Source: `stable_baselines3/common/buffers.py`, `sb3_contrib/common/{recurrent,maskable}/buffers.py`.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Simple, parts
from sb3port.families.features import mask_size
from sb3port.ppo.rollout import gae
from sb3port.ppo.rollout.environments import Observations


@dataclass(frozen=True)
class Rollout:
    """T steps of n environments, arrays of `(T, n, ...)`, or of `(n * T, ...)` when `by_environment`.

    Args:
        observations: By key; floats as float32, images with their channels first.
        actions: `(T, n, A)`, floats for a Box, else int64.
        rewards: As the update sees them: normalised, and with the value of what a time limit cut off.
        starts: 1 where an episode starts, float32.
        values: Estimates of the return.
        log_probs: Log-likelihoods of the actions.
        advantages: As `finish` estimates them.
        returns: What values should be.
        masks: bool `(T, n, choices)` of a maskable policy, else None.
        memory: float32 `(T, n, 4, L, H)` of a recurrent one: hidden and cell state of the actor, then of the
            critic, before each step; else None.
    """

    observations: Observations
    actions: Array
    rewards: NDArray[np.float32]
    starts: NDArray[np.float32]
    values: NDArray[np.float32]
    log_probs: NDArray[np.float32]
    advantages: NDArray[np.float32]
    returns: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None
    memory: NDArray[np.float32] | None = None

    @property
    def size(self) -> int:
        """How many transitions."""
        return self.values.size

    def finish(self, last_values: Array, last_ended: Array, gamma: float, gae_lambda: float) -> None:
        """Fill in advantages and returns.

        Args:
            last_values: Values of what is seen after the last step, `(n,)`.
            last_ended: Whether an episode ended with it, `(n,)`.
            gamma: Discount factor.
            gae_lambda: Bias against variance.
        """
        not_ended = 1.0 - gae.shifted(self.starts, last_ended.astype(np.float32))
        following = gae.shifted(self.values, last_values)
        deltas = gae.temporal_differences(self.rewards, self.values, following, not_ended, gamma)
        self.advantages[:] = gae.advantages(deltas, not_ended, gamma, gae_lambda)
        np.add(self.advantages, self.values, out=self.returns)

    def by_environment(self) -> "Rollout":
        """Put the steps of each environment one after the other: the order that SB3 shuffles."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return Rollout(**{name: _flattened(value) for name, value in found.items()})


def empty_rollout(spec: PolicySpec, n_steps: int, count: int) -> Rollout:
    """Make room for a rollout.

    Args:
        spec: The policy.
        n_steps: Steps of every environment.
        count: How many environments.
    """

    def room(shape: tuple[int, ...] = (), dtype: Any = np.float32) -> Any:
        return np.zeros((n_steps, count, *shape), dtype)

    assert not isinstance(spec.action_space, Dict)
    actions = room((spec.action_space.size,), _action_type(spec))
    memory = None
    if spec.lstm_hidden_size is not None:
        memory = room((4, spec.n_lstm_layers, spec.lstm_hidden_size))
    return Rollout(
        observations={key: room(*_stored(part)) for key, part in parts(spec.observation_space).items()},
        actions=actions,
        masks=room((mask_size(spec),), np.bool_) if spec.maskable else None,
        memory=memory,
        **{name: room() for name in _NUMBERS},
    )


def _action_type(spec: PolicySpec) -> Any:
    """Actions of a Box are float32; sb3-contrib's RecurrentPPO alone learns from them in the space's type."""
    space = spec.action_space
    if not isinstance(space, Box):
        return np.int64
    return np.float32 if spec.lstm_hidden_size is None else np.dtype(space.dtype)


_NUMBERS = ("rewards", "starts", "values", "log_probs", "advantages", "returns")


def store(room: Array, step: int, values: Array) -> None:
    """Write one step, an image with its channels moved to the front where they come last."""
    target = room[step]
    if values.shape != target.shape:
        values = (values.transpose(0, 3, 1, 2) if values.ndim == 4 else values).reshape(target.shape)
    target[:] = values


def _stored(part: Simple) -> tuple[tuple[int, ...], Any]:
    """Give shape and type of a part: floats of 32 bits, which is what networks take."""
    if not isinstance(part, Box):
        return part.shape or (1,), np.int64
    dtype = np.dtype(part.dtype)
    shape = part.channels_first if part.is_image else part.shape
    return shape, np.float32 if dtype.kind == "f" else dtype


def _flattened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _flattened(array) for key, array in value.items()}
    if value is None:
        return None
    return np.ascontiguousarray(value.swapaxes(0, 1)).reshape(-1, *value.shape[2:])
