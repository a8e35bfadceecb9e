"""Types of LeRobot's environments, as a plugin of the user's registers them; importing this does."""

from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig, HubEnvConfig
from lerobot.processor import (
    ActionProcessorStep,
    ObservationProcessorStep,
    PolicyProcessorPipeline,
)
from lerobot.processor.converters import identity_transition
from lerobot.utils.constants import ACTION

IMAGE = spaces.Box(0, 255, (40, 44, 3), np.uint8)
POSITION = spaces.Box(np.array([-1.0, -2.0]), np.array([np.inf, 2.0]), dtype=np.float64)
# What each kind shows.
SPACES: dict[str, spaces.Space[Any]] = {
    "state": spaces.Dict(agent_pos=POSITION),
    "states": spaces.Dict(
        agent_pos=POSITION,
        environment_state=spaces.Box(-2, 2, (3,)),
        load=spaces.Box(-9, 9, (1,), np.float64),
    ),
    "pixels": spaces.Dict(pixels=IMAGE),
    "pixels_agent_pos": spaces.Dict(agent_pos=POSITION, pixels=IMAGE),
    "cameras": spaces.Dict(agent_pos=POSITION, pixels=spaces.Dict(top=IMAGE, wrist=IMAGE)),
    "robot": spaces.Dict(robot_state=spaces.Dict(joints=POSITION)),
    "dotted": spaces.Dict({"arm.joints": POSITION}),
    "bare": POSITION,
}


class Follow(gym.Env[Any, Any]):
    """Rewards actions that are near a number shown; a success where the last one was.

    Args:
        kind: Of `SPACES`.
        length: Steps of an episode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, kind: str, length: int, render_mode: str | None = None) -> None:
        self.observation_space, self.action_space = SPACES[kind], spaces.Box(-2, 2, (2,), np.float32)
        self.render_mode, self._max_episode_steps, self.task = render_mode, length, "follow the number"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.began = options
        self.steps = 0
        return self._see(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        away = float(np.abs(action - self.wanted).sum())
        over = self.steps == self._max_episode_steps
        return self._see(), -away, False, over, {"is_success": away < 0.8}

    def render(self) -> Any:
        return np.full((16, 16, 3), self.steps, np.uint8)

    def _see(self) -> Any:
        self.wanted = self.np_random.uniform(-1, 1, 2)
        return self._shown(self.observation_space)

    def _shown(self, space: spaces.Space[Any]) -> Any:
        if isinstance(space, spaces.Dict):
            return {key: self._shown(part) for key, part in space.spaces.items()}
        if space == IMAGE:
            return self.np_random.integers(0, 256, IMAGE.shape, np.uint8)
        return np.resize(self.wanted + 1 / 3, space.shape).astype(space.dtype)


gym.register("Follow-v0", Follow)


@EnvConfig.register_subclass("follow")
@dataclass
class FollowConfig(EnvConfig):
    """`--env.type=follow`."""

    task: str | None = "Follow-v0"
    kind: str = "state"
    episode_length: int = 6
    render_mode: str | None = "rgb_array"
    features: dict[str, PolicyFeature] = field(
        default_factory=lambda: {ACTION: PolicyFeature(FeatureType.ACTION, (2,))}
    )
    features_map: dict[str, str] = field(default_factory=lambda: {ACTION: ACTION})

    @property
    def gym_id(self) -> str:
        return str(self.task)

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {"kind": self.kind, "length": self.episode_length, "render_mode": self.render_mode}


class Doubled(ActionProcessorStep):
    """Doubles actions."""

    def action(self, action: Any) -> Any:
        return action * 2

    def transform_features(self, features: Any) -> Any:
        return features


class Turned(ObservationProcessorStep):
    """Turns images around, and halves the state."""

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        images = {k: torch.flip(v, dims=[2, 3]) for k, v in observation.items() if ".images." in k}
        return {**observation, **images, "observation.state": observation["observation.state"] / 2}

    def transform_features(self, features: Any) -> Any:
        return features


@EnvConfig.register_subclass("turned")
@dataclass
class TurnedConfig(FollowConfig):
    """Like `follow`, with processors."""

    kind: str = "cameras"

    def get_env_processors(self) -> Any:
        # As LeRobot's own environments with processors of actions do.
        plain = {"to_transition": identity_transition, "to_output": identity_transition}
        return PolicyProcessorPipeline(steps=[Turned()]), PolicyProcessorPipeline(steps=[Doubled()], **plain)


@EnvConfig.register_subclass("several")
@dataclass
class SeveralConfig(FollowConfig):
    """Two tasks of a suite."""

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> Any:
        tasks = super().create_envs(n_envs, use_async_envs)[self.type]
        return {"suite": {0: tasks[0], 1: tasks[0]}}


@EnvConfig.register_subclass("of_the_hub")
@dataclass
class OfTheHubConfig(HubEnvConfig):
    """Made by code on the Hub."""

    hub_path: str | None = "org/name"
