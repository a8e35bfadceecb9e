"""Building the cases: SB3 makes, trains and saves them."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tests.conformance.cases import Case

COUNT = 24


class Stub(gymnasium.Env[Any, Any]):
    """An environment of random observations, in which all actions are allowed."""

    def __init__(self, case: Case) -> None:
        self.observation_space, self.action_space = case.observation, case.action

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, False, bool(self.np_random.random() < 0.2), {}

    def action_masks(self) -> np.ndarray:
        return np.ones(sum(group_sizes(self.action_space)), bool)


def group_sizes(space: spaces.Space[Any]) -> list[int]:
    """How many choices there are for each number of an action of a maskable policy."""
    if isinstance(space, spaces.MultiBinary):
        return [2] * int(space.n)
    return [int(space.n)] if isinstance(space, spaces.Discrete) else space.nvec.tolist()


def saved(case: Case, folder: Path) -> tuple[Any, VecNormalize | None]:
    """Build a model, train it so that its optimiser has a state, shake its weights, and save it."""
    env: Any = DummyVecEnv([lambda: Stub(case)])
    case.observation.seed(3)
    normalizer = _normalizer(case, env) if case.normalize else None
    model = _model(case, normalizer or env)
    if not (case.algorithm is RecurrentPPO and isinstance(case.action, spaces.MultiBinary)):
        model.learn(16)  # which fails for those in sb3-contrib itself
    save_shaken(model, normalizer, folder)
    if normalizer is not None:
        normalizer.training = False
    return model, normalizer


def save_shaken(model: Any, normalizer: VecNormalize | None, folder: Path) -> None:
    """Give a model weights unlike any initialisation, and save it in a Hub repository's layout."""
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    folder.mkdir()
    model.save(folder / "model.zip")
    if normalizer is not None:
        normalizer.save(str(folder / "vec_normalize.pkl"))


def _normalizer(case: Case, env: Any) -> VecNormalize:
    keys = case.normalize if isinstance(case.normalize, list) else None
    observes = case.normalize != "reward"
    return VecNormalize(env, norm_obs=observes, clip_obs=2.5, epsilon=1e-4, norm_obs_keys=keys)


def _model(case: Case, env: Any) -> Any:
    kwargs = {"n_steps": 8, **({} if case.algorithm is A2C else {"batch_size": 8}), **case.settings}
    policy_kwargs = {"net_arch": {"pi": [6], "vf": [5]}, **case.policy_kwargs}
    return case.algorithm(case.policy, env, seed=1, device="cpu", policy_kwargs=policy_kwargs, **kwargs)


def observe(space: spaces.Space[Any]) -> Any:
    """Draw a batch, floats beyond their bounds, too; images are as the policy has them, channels first."""
    if isinstance(space, spaces.Dict):
        return {key: observe(part) for key, part in space.spaces.items()}
    space.seed(5)
    batch = np.array([space.sample() for _ in range(COUNT)])
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        return np.random.default_rng(5).normal(0, 3, batch.shape).astype(space.dtype)
    is_image = batch.ndim == 4 and batch.dtype == np.uint8 and batch.shape[-1] == 3
    return np.ascontiguousarray(np.moveaxis(batch, -1, 1)) if is_image else batch


def rows_of(values: Any, rows: slice) -> Any:
    """Some rows of a batch."""
    return {key: array[rows] for key, array in values.items()} if isinstance(values, dict) else values[rows]
