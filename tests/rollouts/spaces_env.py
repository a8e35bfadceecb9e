"""An environment that has nothing but spaces, masks where it is told to, and episodes of three steps."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm

from tests.ports import port_of


class SpacesEnv(gymnasium.Env[Any, Any]):
    """Draws observations.

    Args:
        observations: Its observation space.
        actions: Its action space.
        masks: "method" or "info" for where it says what is allowed, None for nowhere.
        observation: What is seen instead of what is drawn.
        length: Steps of an episode, None for no end.
        mask_size: Of the masks, where it is wrong.
    """

    def __init__(
        self,
        observations: Any,
        actions: Any,
        masks: str | None = None,
        observation: Any = None,
        length: int | None = 3,
        mask_size: int | None = None,
    ) -> None:
        self.observation_space, self.action_space = observations, actions
        self.masks, self.observation, self.length, self.mask_size = masks, observation, length, mask_size
        self.taken: list[Any] = []
        if masks == "method":
            self.action_masks = self.mask

    def mask(self) -> Any:
        """Only the last action is allowed."""
        size = self.mask_size or self.action_space.n
        return np.arange(size) == size - 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.taken = []
        return self.seen(), self.info()

    def step(self, action: Any) -> Any:
        self.taken.append(action)
        reward = float(np.sum(action))
        return self.seen(), reward, len(self.taken) == self.length, False, self.info()

    def seen(self) -> Any:
        return self.observation_space.sample() if self.observation is None else self.observation

    def info(self) -> dict[str, Any]:
        return {"action_mask": self.mask()} if self.masks == "info" else {}


def register(name: str, limit: int | None = None, **kwargs: Any) -> str:
    """Register such an environment, and give its id."""
    env_id = f"spaces/{name}-v0"
    if env_id not in gymnasium.registry:
        gymnasium.register(
            env_id, SpacesEnv, kwargs=kwargs, max_episode_steps=limit, disable_env_checker=True
        )
    return env_id


def ported(model: BaseAlgorithm, folder: Path) -> Path:
    """Save a model as `<folder>.zip`, and port it unverified."""
    folder.mkdir(parents=True)
    model.save(folder / f"{folder.name}.zip")
    return port_of(folder, folder / "port", verify=False).port


VECTOR = spaces.Box(-1, 1, (3,), np.float32)
SMALL: dict[str, Any] = {"n_steps": 8, "batch_size": 8, "n_epochs": 1, "device": "cpu", "seed": 0}
