"""Pendulums stepped at once, as Gymnasium's CartPole-v1 brings them and its Pendulum-v1 does not.

    sb3port train --env benchmarks.vector_pendulum:VectorPendulum-v1 --vec-env vector --n-envs 64 --out runs/v

`VectorPendulum-v1` is Gymnasium's Pendulum-v1 with a `vector_entry_point`: what any environment needs so that
`--vec-env vector` steps it. The physics are those of `gymnasium/envs/classic_control/pendulum.py`.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

_HIGH = np.array([[np.pi], [1.0]])  # of the first angle in rad and the first speed in rad/s


class VectorPendulum(VectorEnv[Any, Any, Any]):
    """Pendulums that all begin at once, and so end at once.

    Args:
        num_envs: How many.
        max_episode_steps: The time limit; there is no other end.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 (Gymnasium's form)

    def __init__(self, num_envs: int, max_episode_steps: int = 200) -> None:
        single = PendulumEnv()
        self.single_observation_space, self.single_action_space = (
            single.observation_space,
            single.action_space,
        )
        self.observation_space = batch_space(single.observation_space, num_envs)
        self.action_space = batch_space(single.action_space, num_envs)
        self._single, self.num_envs, self._limit, self._steps = single, num_envs, max_episode_steps, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Let all begin."""
        super().reset(seed=seed, options=options)
        self._begin()
        return self._seen(), {}

    def step(self, actions: Any) -> tuple[Any, ...]:
        """Turn every pendulum by a torque in N m, `(n, 1)`."""
        physics, (angle, speed) = self._single, self._state
        torque = np.clip(actions[:, 0], -physics.max_torque, physics.max_torque)
        wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
        rewards = -(wrapped**2 + 0.1 * speed**2 + 0.001 * torque**2)
        pull = 3 * physics.g / (2 * physics.l) * np.sin(angle)
        speed += (pull + 3.0 / (physics.m * physics.l**2) * torque) * physics.dt
        np.clip(speed, -physics.max_speed, physics.max_speed, out=speed)
        angle += speed * physics.dt
        self._steps += 1
        seen, over = self._seen(), np.full(self.num_envs, self._steps >= self._limit)
        terminated = np.zeros(self.num_envs, np.bool_)
        if self._steps < self._limit:
            return seen, rewards, terminated, over, {}
        self._begin()
        return self._seen(), rewards, terminated, over, {"final_obs": seen, "_final_obs": over}

    def get_state(self) -> dict[str, Any]:
        """Give what `set_state` needs to come back to this point."""
        return {"state": self._state, "steps": self._steps, "random": self.np_random.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> Any:
        """Come back to where another one was, and give what is seen there."""
        self._state, self._steps = np.array(state["state"]), int(state["steps"])
        self.np_random.bit_generator.state = state["random"]
        return self._seen()

    def _begin(self) -> None:
        self._state = self.np_random.uniform(-_HIGH, _HIGH, size=(2, self.num_envs))
        self._steps = 0

    def _seen(self) -> Any:
        angle, speed = self._state
        seen = np.empty((self.num_envs, 3), np.float32)
        seen[:, 0], seen[:, 1], seen[:, 2] = np.cos(angle), np.sin(angle), speed
        return seen


gymnasium.register("VectorPendulum-v1", PendulumEnv, max_episode_steps=200, vector_entry_point=VectorPendulum)
