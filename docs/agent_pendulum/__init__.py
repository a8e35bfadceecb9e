"""Gymnasium's Pendulum as an environment of LeRobot, `--env.type=pendulum`; see docs/environments.md."""

from dataclasses import dataclass, field

import gymnasium as gym
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.utils.constants import ACTION, OBS_STATE

UPRIGHT = 0.95  # the cosine of its angle


class AgentPendulum(gym.Wrapper):
    """Pendulum with its observation under `agent_pos`, and a success where it stands upright."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(gym.make("Pendulum-v1", render_mode=render_mode))
        self.observation_space = spaces.Dict({"agent_pos": self.env.observation_space})
        self.task = self.task_description = "swing the pendulum up, and hold it there"

    def reset(self, **kwargs):  # noqa: ANN003, ANN201
        """Begin an episode; LeRobot takes one that never speaks of success for successful."""
        observation, _ = self.env.reset(**kwargs)
        return {"agent_pos": observation}, {"is_success": False}

    def step(self, action):  # noqa: ANN001, ANN201
        """Take a step."""
        observation, reward, terminated, truncated, _ = self.env.step(action)
        return (
            {"agent_pos": observation},
            reward,
            terminated,
            truncated,
            {"is_success": bool(observation[0] > UPRIGHT)},
        )


gym.register("AgentPendulum-v0", entry_point=AgentPendulum)


@EnvConfig.register_subclass("pendulum")
@dataclass
class AgentPendulumConfig(EnvConfig):
    """What `--env.type=pendulum` takes."""

    task: str | None = "AgentPendulum-v0"
    render_mode: str | None = "rgb_array"
    features: dict[str, PolicyFeature] = field(
        default_factory=lambda: {
            ACTION: PolicyFeature(FeatureType.ACTION, (1,)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (3,)),
        }
    )
    features_map: dict[str, str] = field(default_factory=lambda: {ACTION: ACTION, "agent_pos": OBS_STATE})

    @property
    def gym_id(self) -> str:
        """What Gymnasium makes."""
        return str(self.task)

    @property
    def gym_kwargs(self) -> dict[str, str | None]:
        """With which arguments."""
        return {"render_mode": self.render_mode}
