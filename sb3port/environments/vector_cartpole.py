"""Gymnasium's vector CartPole, beginning the next episode in the step that ends one.

Gymnasium's own (`gymnasium/envs/classic_control/cartpole.py`, `CartPoleVectorEnv`) does so in the step after,
whose action and reward mean nothing. What it computes is the same here, number for number, in half the time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.vectors import last_seen


class SameStepCartPole(CartPoleVectorEnv):
    """CartPoles stepped at once.

    Attributes:
        state: float64 `(4, n)`: position in m, its speed in m/s, angle in rad, its speed in rad/s.
        steps: Of the running episodes, int32 `(n,)`.
    """

    metadata = {**CartPoleVectorEnv.metadata, "autoreset_mode": "SameStep"}  # noqa: RUF012 (Gymnasium's form)
    state: Any
    steps: Any

    def step(self, action: Array) -> tuple[Any, ...]:
        """Push every cart by 0 to the left or by 1 to the right, `(n,)`."""
        self._move(action * (2 * self.force_mag) - self.force_mag)
        self.steps += 1
        position, _, angle, _ = np.abs(self.state)
        terminated = (position > self.x_threshold) | (angle > self.theta_threshold_radians)
        truncated = self.steps >= self.max_episode_steps
        observations = self._seen()
        rewards = (
            -terminated.astype(np.float32)
            if self._sutton_barto_reward
            else np.ones(self.num_envs, np.float32)
        )
        ended = terminated | truncated
        if not ended.any():
            return observations, rewards, terminated, truncated, {}
        return self._begin(ended), rewards, terminated, truncated, last_seen(observations, ended)

    def _move(self, force: Array) -> None:
        """Take a step of Euler's method; force in N, `(n,)`."""
        _, _, angle, turning = self.state
        cosine, sine = np.cos(angle), np.sin(angle)
        push = (force + self.polemass_length * np.square(turning) * sine) / self.total_mass
        inertia = self.length * (4.0 / 3.0 - self.masspole * np.square(cosine) / self.total_mass)
        turn = (self.gravity * sine - cosine * push) / inertia
        self.state[::2] += self.tau * self.state[1::2]
        self.state[1] += self.tau * (push - self.polemass_length * turn * cosine / self.total_mass)
        self.state[3] += self.tau * turn

    def _begin(self, ended: NDArray[np.bool_]) -> Array:
        """Begin episodes anew, and give what is seen."""
        self.state[:, ended] = self.np_random.uniform(self.low, self.high, size=(4, np.count_nonzero(ended)))
        self.steps[ended] = 0
        return self._seen()

    def _seen(self) -> Array:
        seen: Array = self.state.T.astype(np.float32)
        return seen

    def get_state(self) -> dict[str, Any]:
        """Give what `set_state` needs to come back to this point."""
        return {"state": self.state, "steps": self.steps, "random": self.np_random.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> Array:
        """Come back to where another one was, and give what is seen there, float32 `(n, 4)`."""
        self.reset(seed=0)
        self.state, self.steps = np.array(state["state"]), np.array(state["steps"])
        self.np_random.bit_generator.state = state["random"]
        return self._seen()
