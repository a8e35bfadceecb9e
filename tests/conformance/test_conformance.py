"""Algorithms, spaces and options crossed: policies that SB3 builds and saves, with weights of our choosing.

Every case is saved by SB3, read, ported, loaded by LeRobot, and compared with SB3's own model to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TRPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3port.conversion import read
from sb3port.port import spec_json
from sb3port.readers.source import SourceOptions
from tests.ports import assert_same_bits, port_of, port_outputs, sb3_outputs

COUNT = 33

VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)
FLOAT64 = spaces.Box(-1e3, 1e3, (5,), np.float64)
MATRIX = spaces.Box(-1.0, 1.0, (1, 6), np.float32)
ONE = spaces.Box(-2.0, 2.0, (1,), np.float32)
UNEVEN = spaces.Box(np.float32([-0.4, -1.0, 0.0]), np.float32([0.4, 3.0, 1.0]), dtype=np.float32)
WIDE = spaces.Box(-1.0, 1.0, (2, 2), np.float32)
UNEVEN_WIDE = spaces.Box(np.float32([[-1, -2], [-3, -4]]), np.float32([[1, 2], [3, 4]]), dtype=np.float32)
DOUBLE = spaces.Box(-0.1, 0.7, (2,), np.float64)


@dataclass
class Case:
    """One policy to build."""

    action: spaces.Space[Any]
    observation: spaces.Box = field(default_factory=lambda: VECTOR)
    algorithm: Callable[..., BaseAlgorithm] = PPO
    normalize: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)


SDE = {"use_sde": True}
CASES = {
    "ppo-box": Case(ONE),
    "ppo-discrete": Case(spaces.Discrete(4)),
    "ppo-discrete-start": Case(spaces.Discrete(3, start=5)),
    "ppo-uneven-bounds": Case(UNEVEN, normalize=True),
    "ppo-matrix-spaces": Case(WIDE, MATRIX, normalize=True),
    "ppo-uneven-matrix": Case(UNEVEN_WIDE, MATRIX),
    "ppo-float64": Case(UNEVEN, FLOAT64, normalize=True),
    "ppo-float64-without-statistics": Case(ONE, FLOAT64),
    "ppo-float64-actions": Case(DOUBLE),
    "ppo-gsde": Case(UNEVEN, settings=SDE),
    "ppo-gsde-expln": Case(UNEVEN, settings=SDE, policy_kwargs={"use_expln": True}),
    "ppo-gsde-not-full": Case(UNEVEN, settings=SDE, policy_kwargs={"full_std": False}),
    "ppo-gsde-one-action-not-full": Case(ONE, settings=SDE, policy_kwargs={"full_std": False}),
    "ppo-gsde-squashed": Case(UNEVEN, settings=SDE, policy_kwargs={"squash_output": True}),
    "ppo-gsde-log-std": Case(ONE, settings=SDE, policy_kwargs={"log_std_init": -2, "ortho_init": False}),
    "ppo-unequal-nets": Case(ONE, policy_kwargs={"net_arch": {"pi": [7], "vf": [9, 8, 7]}}),
    "ppo-no-hidden-layers": Case(spaces.Discrete(3), policy_kwargs={"net_arch": []}),
    "ppo-relu": Case(ONE, policy_kwargs={"activation_fn": torch.nn.ReLU}),
    "ppo-elu": Case(ONE, policy_kwargs={"activation_fn": torch.nn.ELU}),
    "ppo-silu": Case(spaces.Discrete(2), policy_kwargs={"activation_fn": torch.nn.SiLU}),
    "a2c-box": Case(UNEVEN, algorithm=A2C, normalize=True),
    "a2c-discrete": Case(spaces.Discrete(2), algorithm=A2C),
    "a2c-gsde": Case(UNEVEN, algorithm=A2C, settings=SDE),
    "trpo-box": Case(UNEVEN, algorithm=TRPO, normalize=True),
    "trpo-discrete": Case(spaces.Discrete(3), algorithm=TRPO),
    "trpo-gsde": Case(ONE, algorithm=TRPO, settings=SDE),
}


class Stub(gymnasium.Env[Any, Any]):
    """An environment of random observations."""

    def __init__(self, case: Case) -> None:
        self.observation_space, self.action_space = case.observation, case.action

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        return self._observe(), 1.0, False, bool(self.np_random.random() < 0.1), {}

    def _observe(self) -> np.ndarray:
        noise = self.np_random.normal(0.3, 2.0, self.observation_space.shape)
        return noise.astype(self.observation_space.dtype)


def build(case: Case) -> tuple[BaseAlgorithm, VecNormalize | None]:
    """Build a model, train it for a few steps so that its optimiser has a state, and shake its weights."""
    env: Any = DummyVecEnv([lambda: Stub(case)])
    normalizer = VecNormalize(env, clip_obs=2.5, epsilon=1e-4) if case.normalize else None
    algorithm: Any = case.algorithm
    kwargs = {"n_steps": 8, **({} if algorithm is A2C else {"batch_size": 8}), **case.settings}
    model = algorithm(
        "MlpPolicy", normalizer or env, seed=1, device="cpu", policy_kwargs=case.policy_kwargs, **kwargs
    )
    model.learn(16)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model, normalizer


def saved(case: Case, folder: Path) -> tuple[BaseAlgorithm, VecNormalize | None]:
    model, normalizer = build(case)
    folder.mkdir()
    model.save(folder / "model.zip")
    if normalizer is not None:
        normalizer.save(str(folder / "vec_normalize.pkl"))
        normalizer.training = False
    return model, normalizer


@pytest.mark.parametrize("name", CASES)
def test_port_computes_what_sb3_computes(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model, normalizer = saved(case, tmp_path / name)
    done = port_of(tmp_path / name, tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    rng = np.random.default_rng(0)
    observations = rng.normal(0, 3, (COUNT, *case.observation.shape)).astype(case.observation.dtype)
    case.action.seed(0)
    actions = np.array([case.action.sample() for _ in range(COUNT)])
    if isinstance(case.action, spaces.Box):
        actions = np.tanh(actions).astype(np.float32)  # within (-1, 1), where squashed policies live
    elif case.action.start:
        actions = actions - case.action.start  # SB3's policies count from 0
    expected = sb3_outputs(model, normalizer, observations, actions)
    assert_same_bits(port_outputs(tmp_path / "port", observations, actions), expected)


@pytest.mark.parametrize("name", ["ppo-gsde", "a2c-box", "trpo-box", "ppo-discrete"])
def test_optimiser_state_is_carried(name: str, tmp_path: Path) -> None:
    from lerobot.optim.optimizers import load_optimizer_state

    model, _ = saved(CASES[name], tmp_path / name)
    port_of(tmp_path / name, tmp_path / "port", verify=False)
    parameters = list(model.policy.parameters())
    fresh = type(model.policy.optimizer)(parameters, lr=1.0)
    load_optimizer_state(fresh, tmp_path / "port" / "training_state")
    original = model.policy.optimizer.state_dict()
    loaded = fresh.state_dict()
    assert _listed(loaded["param_groups"]) == _listed(original["param_groups"])
    assert loaded["state"].keys() == original["state"].keys()
    for index, tensors in original["state"].items():
        for key, value in tensors.items():
            carried = torch.as_tensor(loaded["state"][index][key])
            assert torch.equal(carried, torch.as_tensor(value)), (index, key)


def _listed(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no tuples."""
    return [{k: list(v) if isinstance(v, tuple) else v for k, v in group.items()} for group in groups]


@pytest.mark.parametrize("name", CASES)
def test_port_read_back_is_the_checkpoint(name: str, tmp_path: Path) -> None:
    saved(CASES[name], tmp_path / name)
    original = port_of(tmp_path / name, tmp_path / "port", verify=False).checkpoint
    again = read(str(tmp_path / "port"), SourceOptions())
    assert spec_json(again.spec) == spec_json(original.spec)
    assert again.training == original.training
    assert {key: a.tobytes() for key, a in again.tensors.items()} == {
        key: a.tobytes() for key, a in original.tensors.items()
    }
    assert (again.normalizer is None) == (original.normalizer is None)
    if again.normalizer is not None and original.normalizer is not None:
        ours, theirs = again.normalizer.obs_rms, original.normalizer.obs_rms
        assert ours is not None
        assert theirs is not None
        assert ours.mean.shape == theirs.mean.shape == CASES[name].observation.shape
        assert (ours.mean.tobytes(), ours.var.tobytes()) == (theirs.mean.tobytes(), theirs.var.tobytes())


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, "RMSprop"),
        ({"use_rms_prop": False}, "Adam"),
        (
            {"policy_kwargs": {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}}},
            "RMSpropTFLike",
        ),
    ],
)
def test_optimiser_is_named_as_it_is(kwargs: dict[str, Any], expected: str, tmp_path: Path) -> None:
    A2C("MlpPolicy", DummyVecEnv([lambda: Stub(CASES["a2c-box"])]), device="cpu", **kwargs).save(
        tmp_path / "m.zip"
    )
    checkpoint = read(str(tmp_path / "m.zip"), SourceOptions())
    assert checkpoint.training.optimizer_class == expected
    assert checkpoint.optimizer is not None
