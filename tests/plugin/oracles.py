"""What the tests of the LeRobot plugin share: SB3 policies as oracles, ports of them, and environments."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from lerobot_policy_ppo.spaces import space_to_json
from stable_baselines3.common.policies import ActorCriticPolicy

from lerobot_policy_ppo import PPOConfig

VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)
ACTIONS = spaces.Box(np.array([-1.0, -2.0, 0.5], np.float32), np.array([1.0, 3.0, 0.75], np.float32))


def make_oracle(observation: spaces.Space, action: spaces.Space, **kwargs: Any) -> ActorCriticPolicy:
    """SB3's policy with weights that differ from any initialisation, biases included."""
    activation = getattr(torch.nn, kwargs.pop("activation_fn", "Tanh"))
    policy = ActorCriticPolicy(observation, action, lambda _: 0.0, activation_fn=activation, **kwargs)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return policy.eval()


def make_config(observation: spaces.Space, action: spaces.Space, **kwargs: Any) -> PPOConfig:
    """The configuration that says what `make_oracle` is told."""
    forms = {"observation_space": space_to_json(observation), "action_space": space_to_json(action)}
    return PPOConfig(device="cpu", **forms, **kwargs)


def make_pair(
    observation: spaces.Space = VECTOR, action: spaces.Space = ACTIONS, seed: int = 0, **kwargs: Any
) -> tuple[ActorCriticPolicy, PPOPolicy]:
    """An oracle and a port with its weights."""
    torch.manual_seed(seed)
    oracle = make_oracle(observation, action, **kwargs)
    port = PPOPolicy(make_config(observation, action, **kwargs)).eval()
    port.load_state_dict(oracle.state_dict(), strict=True)
    return oracle, port


def observations(space: spaces.Box, n: int, seed: int = 0, scale: float = 2.0) -> np.ndarray:
    """Random observations `(n, *shape)` in the dtype of the space."""
    raw = np.random.default_rng(seed).normal(size=(n, *space.shape)) * scale
    return raw.astype(space.dtype)


class Float64Env(gym.Env):
    """Float64 observations of rank two, actions of rank two, no time limit, a win at the end."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 17}  # noqa: RUF012
    observation_space = spaces.Box(-np.inf, np.inf, (2, 2), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (2, 1), np.float64)

    def __init__(self, render_mode: str | None = None, length: int = 7) -> None:
        self.render_mode, self.length = render_mode, length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        assert options is None
        self.t, self.x = 0, self.np_random.normal(size=(2, 2))
        return self.x.copy(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict]:
        assert action.shape == (2, 1)
        self.t += 1
        self.x = 0.9 * self.x + 0.1 * action
        done = self.t >= self.length
        return self.x.copy(), float(self.x.sum()), done, False, {"is_success": np.bool_(done)}

    def render(self) -> None:
        return None


class BareEnv(gym.Env):
    """An environment that knows neither `render_mode` nor `render_fps`, with integer observations."""

    observation_space = spaces.Box(-(2**40), 2**40, (3,), np.int64)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed, options=options)
        return np.full(3, 2**31 + 1), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict]:
        assert type(action) is int
        return np.full(3, 2**31 + 1), 1.0, False, False, {}


gym.register("plugin_tests/Float64-v0", Float64Env, disable_env_checker=True)
gym.register("plugin_tests/Bare-v0", BareEnv, disable_env_checker=True)
