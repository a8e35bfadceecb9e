"""Environments for the tests of the LeRobot plugin."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from .oracles import observations

VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)
PICTURE = spaces.Box(0, 255, (40, 36, 3), np.uint8)
# Names that LeRobot keeps for itself, and an order that is not that of the alphabet.
NAMES = spaces.Dict(
    [
        ("robot_state", spaces.Box(-np.inf, np.inf, (2, 2), np.float64)),
        ("agent_pos", PICTURE),
        ("pixels", spaces.Discrete(3)),
        ("bits", spaces.MultiBinary(3)),
        ("state", spaces.Box(-np.inf, np.inf, (1,), np.float32)),
    ]
)
# The mask among the observations, as environments without `action_masks()` often have it.
MASK_SEEN = spaces.Dict([("x", VECTOR), ("action_mask", spaces.MultiBinary(5))])
PARTS = spaces.Dict([("z", VECTOR), ("b", spaces.Box(-np.inf, np.inf, (2, 3), np.float64)), ("a", VECTOR)])
KINDS: dict[str, tuple[spaces.Space, spaces.Space]] = {
    "image": (PICTURE, spaces.Discrete(3)),
    "image-first": (spaces.Box(0, 255, (3, 36, 40), np.uint8), spaces.Box(-1.0, 1.0, (2,), np.float32)),
    "dict": (NAMES, spaces.Box(-1.0, 1.0, (2, 2), np.float64)),
    "parts": (PARTS, spaces.Discrete(3)),
    "discrete": (spaces.Discrete(4), spaces.MultiDiscrete([3, 4])),
    "multi-discrete": (spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(4)),
    "multi-binary": (spaces.MultiBinary([2, 2]), spaces.Discrete(5)),
    "vector-discrete": (VECTOR, spaces.Discrete(5)),
    "vector-multi-discrete": (VECTOR, spaces.MultiDiscrete([3, 4])),
    "vector-multi-binary": (VECTOR, spaces.MultiBinary(4)),
    "mask-seen": (MASK_SEEN, spaces.Discrete(5)),
    "vector-box": (VECTOR, spaces.Box(-1.0, 1.0, (2,), np.float32)),
}


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


class AnyEnv(gym.Env):
    """Observations and actions of any kind; what is seen next depends on what was done.

    Episodes have unequal lengths. Masks of actions come from the method that sb3-contrib calls, from `info`,
    or not at all; a forbidden action ends the episode with a penalty.
    """

    def __init__(self, kind: str, masks: str | None = None) -> None:
        self.observation_space, self.action_space = KINDS[kind]
        self.masks = masks
        if masks == "method":
            self.action_masks = self.mask

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.seen = int(self.np_random.integers(10**6))
        self.left = int(self.np_random.integers(2, 7))
        return self.observe(), self.info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.check(action)
        number = np.sum(np.arange(1, np.size(action) + 1) * np.asarray(action, np.float64).reshape(-1))
        self.seen += 1 + round(float(number) * 1e4)
        self.left -= 1
        return self.observe(), float(number), self.left == 0, False, self.info()

    def check(self, action: Any) -> None:
        """What SB3's and sb3-contrib's `predict` give, and nothing else."""
        if isinstance(self.action_space, spaces.Discrete):
            assert isinstance(action, int | np.integer)
            assert self.masks is None or self.mask()[action]
            return
        binary = isinstance(self.action_space, spaces.MultiBinary)
        dtype = np.float32 if binary and self.masks is None else self.action_space.dtype
        assert action.dtype == (np.int64 if binary and self.masks else dtype)
        assert action.shape == self.action_space.shape

    def observe(self) -> Any:
        seen = observations(self.observation_space, 1, self.seen % 2**31)
        return {key: part[0] for key, part in seen.items()} if isinstance(seen, dict) else seen[0]

    def info(self) -> dict[str, Any]:
        return {"action_mask": self.mask()} if self.masks == "info" else {}

    def mask(self) -> np.ndarray:
        """Half of all choices, never none."""
        space = self.action_space
        sizes = (
            [2] * space.n
            if isinstance(space, spaces.MultiBinary)
            else np.atleast_1d(getattr(space, "nvec", 0))
        )
        sizes = [space.n] if isinstance(space, spaces.Discrete) else sizes
        rng = np.random.default_rng(self.seen)
        parts = [rng.random(size) < 0.5 for size in sizes]
        for part in parts:
            part[rng.integers(len(part))] = True
        return np.concatenate(parts)


gym.register("plugin_tests/Float64-v0", Float64Env, disable_env_checker=True)
gym.register("plugin_tests/Bare-v0", BareEnv, disable_env_checker=True)
gym.register("plugin_tests/Any-v0", AnyEnv, disable_env_checker=True)
