"""Models that SB3 trained as rl_zoo3 does: frames are normalised by VecNormalize and then stacked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

VECTOR = spaces.Box(-np.inf, np.inf, (3,), np.float32)
FLOAT64 = spaces.Box(-np.inf, np.inf, (2, 2), np.float64)
PICTURE = spaces.Box(0, 255, (8, 10, 2), np.uint8)
# Of each an observation; what is under "rest" in a Dict is not normalised.
SPACES: dict[str, spaces.Space[Any]] = {
    "vector": VECTOR,
    "matrix of float64": FLOAT64,
    "picture": PICTURE,
    "dict": spaces.Dict({"z": VECTOR, "rest": spaces.Box(-9, 9, (2,), np.float32), "a": FLOAT64}),
}


class Walk(gym.Env[Any, Any]):
    """Starts where all numbers are zero, stays there for a step, and goes where its actions lead it.

    Args:
        kind: A key of `SPACES`.
        zeros: How many observations at the beginning of an episode are zero.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own declaration)

    def __init__(self, kind: str = "vector", zeros: int = 2) -> None:
        # VecNormalize changes the space that it is given.
        space = SPACES[kind]
        self.observation_space = spaces.Dict(dict(space)) if isinstance(space, spaces.Dict) else space
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)
        self.zeros, self.steps, self.length, self.place = zeros, 0, 0, 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.steps, self.length, self.place = 0, int(self.np_random.integers(4, 9)), 0.0
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.place += float(action[0] - 0.3 * action[1])
        return self.observe(), self.place, False, self.steps >= self.length, {}

    def observe(self) -> Any:
        space = self.observation_space
        if isinstance(space, spaces.Dict):
            return {key: self.part(part) for key, part in space.spaces.items()}
        return self.part(space)

    def part(self, space: spaces.Space[Any]) -> Any:
        if self.steps < self.zeros:
            return np.zeros(space.shape, space.dtype)
        noise = self.np_random.normal(size=space.shape) + self.place
        return (
            np.clip(100 * noise, 0, 255).astype(np.uint8)
            if space.dtype == np.uint8
            else noise.astype(space.dtype)
        )


gym.register("frame_tests/Walk-v0", Walk, disable_env_checker=True)
WALK = "frame_tests/Walk-v0"


@dataclass(frozen=True)
class Stacked:
    """What SB3 trained.

    Args:
        model: Its policy sees stacks.
        normalizer: Of single frames.
        env: Both around one environment; statistics stay as they are.
    """

    model: PPO
    normalizer: VecNormalize
    env: VecFrameStack


def trained(kind: str, n_stack: int, order: str | None = None, **kwargs: Any) -> Stacked:
    """Train a policy of tiny nets for two rollouts, and shake its weights."""
    keys = ["z", "a"] if kind == "dict" else None
    venv = DummyVecEnv([lambda: Walk(kind, **kwargs)])
    normalizer = VecNormalize(venv, clip_obs=1.5, epsilon=1e-4, norm_obs_keys=keys)
    env = VecFrameStack(normalizer, n_stack, order)
    policy = "MultiInputPolicy" if kind == "dict" else "MlpPolicy"
    model = PPO(
        policy,
        env,
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        seed=1,
        device="cpu",
        policy_kwargs={"net_arch": [8]},
    )
    model.learn(32)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    normalizer.training = normalizer.norm_reward = False
    return Stacked(model, normalizer, env)


def saved(stacked: Stacked, folder: Path, config: str | None = "frame_stack: {}\nnormalize: true") -> Path:
    """Save a model and its statistics with rl_zoo3's config.yml, None for no such file."""
    folder.mkdir()
    stacked.model.save(folder / "model.zip")
    stacked.normalizer.save(str(folder / "vec_normalize.pkl"))
    if config is not None:
        (folder / "config.yml").write_text(config.format(stacked.env.stacked_obs.n_stack))
    return folder
