"""Generalised advantage estimation, https://arxiv.org/abs/1506.02438, in SB3's order of operations.

Source: `stable_baselines3.common.buffers.RolloutBuffer.compute_returns_and_advantage`. All is float32.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


def temporal_differences(
    rewards: Floats, values: Floats, next_values: Floats, not_ended: Floats, gamma: float
) -> Floats:
    """`delta_t = r_t + gamma V(s_{t+1}) - V(s_t)`, equation 10, each `(n_steps, n_envs)`.

    Args:
        rewards: What each step gave.
        values: V of what was seen before it.
        next_values: V of what was seen after it.
        not_ended: 0 where the episode ended with the step, else 1.
        gamma: Discount factor.
    """
    return rewards + gamma * next_values * not_ended - values


def advantages(deltas: Floats, not_ended: Floats, gamma: float, gae_lambda: float) -> Floats:
    """`A_t = delta_t + gamma lambda A_{t+1}`, equation 16 as a recursion, `(n_steps, n_envs)`."""
    discounts = gamma * gae_lambda * not_ended
    result = np.empty_like(deltas)
    following = np.zeros(deltas.shape[1:], np.float32)
    for delta, discount, out in zip(deltas[::-1], discounts[::-1], result[::-1], strict=True):
        following = np.add(delta, discount * following, out=out)
    return result


def shifted(values: Floats, last: Floats) -> Floats:
    """Give for every step what the next one has, `last` after the last one."""
    return np.concatenate([values[1:], last[None]])
