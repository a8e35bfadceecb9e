"""A quadrotor that learns to hover: the environment of docs/environments.md.

A Crazyflie 2 in free air, with the spaces of gym-pybullet-drones: observations and actions have one row for
each drone, here one, and the type of the action decides how many numbers it has.
"""

from collections import deque
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

MASS, ARM, GRAVITY = 0.027, 0.0397, 9.8  # kg, m, m/s^2
INERTIA = np.array([1.4e-5, 1.4e-5, 2.17e-5])  # kg m^2
LIFT, DRAG = 3.16e-10, 7.94e-12  # N and N m per rpm^2
HOVER_RPM = np.sqrt(MASS * GRAVITY / (4 * LIFT))
CONTROL_HZ, SUBSTEPS = 30, 4
TARGET = np.array([0.0, 0.0, 1.0])  # m
# How each action type makes four motor speeds of its numbers, each within [-1, 1].
ACTION_TYPES = {
    "one_d_rpm": np.array([[1.0, 1.0, 1.0, 1.0]]),  # (1, 1): all motors alike
    "rpm": np.eye(4),  # (1, 4): each motor by itself
    "thrust_rates": np.array(
        [[1, 1, 1, 1], [-0.1, -0.1, 0.1, 0.1], [-0.1, 0.1, 0.1, -0.1], [-0.1, 0.1, -0.1, 0.1]]
    ),
}


class Hover(gym.Env[np.ndarray, np.ndarray]):
    """Rise from the ground to one metre and stay there.

    Args:
        action_type: "one_d_rpm", "rpm" or "thrust_rates"; actions are `(1, 1)`, `(1, 4)` and `(1, 4)`.

    Observations are `(1, 12 + 15 * A)`: position, roll, pitch and yaw, velocity, angular velocity, and the
    actions of the last half second.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}  # noqa: RUF012

    def __init__(self, action_type: str = "one_d_rpm", render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.mixer = ACTION_TYPES[action_type]
        n_actions = len(self.mixer)
        self.last_actions: deque[np.ndarray] = deque(maxlen=CONTROL_HZ // 2)
        self.action_space = spaces.Box(-1.0, 1.0, (1, n_actions), np.float32)
        self.observation_space = spaces.Box(
            -np.inf, np.inf, (1, 12 + self.last_actions.maxlen * n_actions), np.float32
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Put the drone near the ground, at a random height."""
        super().reset(seed=seed, options=options)
        self.position = np.array([0.0, 0.0, self.np_random.uniform(0.05, 0.3)])
        self.angles, self.velocity, self.rates = np.zeros((3, 3))
        for _ in range(self.last_actions.maxlen):
            self.last_actions.append(np.zeros(self.action_space.shape, np.float32))
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Fly for a thirtieth of a second; the episode is over when the drone is lost."""
        self.last_actions.append(action)
        for _ in range(SUBSTEPS):
            self._fly(HOVER_RPM * (1 + 0.05 * (action[0] @ self.mixer)), 1 / (CONTROL_HZ * SUBSTEPS))
        distance = float(np.linalg.norm(TARGET - self.position))
        lost = bool(distance > 2 or np.abs(self.angles[:2]).max() > 0.4)
        return self._observation(), max(0.0, 2 - distance**4), lost, False, {"is_success": distance < 0.1}

    def render(self) -> np.ndarray:
        """A side view of three by two metres: the ground, the target and the drone."""
        frame = np.full((200, 300, 3), 245, np.uint8)
        frame[180:] = (120, 110, 100)
        for (x, _, z), half, colour in ((TARGET, 3, (220, 50, 40)), (self.position, 6, (40, 90, 160))):
            row, column = np.clip((int(180 - 90 * z), int(150 + 90 * x)), 0, (199, 299))
            frame[max(row - 3, 0) : row + 3, max(column - half, 0) : column + half] = colour
        return frame

    def _fly(self, rpm: np.ndarray, dt: float) -> None:
        thrusts, (roll, pitch, yaw) = LIFT * rpm**2, self.angles
        lever = ARM / np.sqrt(2)
        torques = np.array(
            [
                lever * (thrusts @ [-1, -1, 1, 1]),
                lever * (thrusts @ [-1, 1, 1, -1]),
                DRAG * (rpm**2 @ [-1, 1, -1, 1]),
            ]
        )
        up = np.array(
            [
                np.cos(yaw) * np.sin(pitch) * np.cos(roll) + np.sin(yaw) * np.sin(roll),
                np.sin(yaw) * np.sin(pitch) * np.cos(roll) - np.cos(yaw) * np.sin(roll),
                np.cos(pitch) * np.cos(roll),
            ]
        )
        self.velocity = self.velocity + dt * (up * thrusts.sum() / MASS - [0, 0, GRAVITY])
        self.rates = self.rates + dt * torques / INERTIA
        self.angles = self.angles + dt * self.rates
        self.position = self.position + dt * self.velocity
        if self.position[2] < 0:  # on the ground
            self.position[2], self.velocity = 0.0, np.zeros(3)

    def _observation(self) -> np.ndarray:
        state = np.concatenate([self.position, self.angles, self.velocity, self.rates])
        return np.concatenate([state, *(a[0] for a in self.last_actions)])[None].astype(np.float32)


gym.register("Hover-v0", entry_point=Hover, max_episode_steps=8 * CONTROL_HZ)
