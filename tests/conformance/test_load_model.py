"""`sb3port.load_model` beside SB3's own `load`: the same model, and the same bits when it learns on."""

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

import sb3port
from sb3port.errors import UsageError
from tests.conformance.building import Stub, observe, saved
from tests.conformance.cases import CASES, Case, sampled
from tests.conformance.test_exports import OTHERS, assert_same_model, assert_same_tensors
from tests.conftest import REPOSITORY

HUB = REPOSITORY / "fixtures" / "hub" / "sb3port"
NAMES = {name: case for name, case in CASES.items() if name not in OTHERS}


def theirs(case: Case, folder: Path) -> tuple[Any, VecNormalize | None]:
    """Load a model as SB3's users do."""
    env: Any = DummyVecEnv([lambda: Stub(case)])
    normalizer = VecNormalize.load(str(folder / "vec_normalize.pkl"), env) if case.normalize else None
    algorithm: Any = case.algorithm
    return algorithm.load(folder / "model.zip", normalizer or env, device="cpu"), normalizer


def ours(case: Case, folder: Path) -> tuple[Any, VecNormalize | None]:
    """Load it with ours."""
    loaded = sb3port.load_model(folder, DummyVecEnv([lambda: Stub(case)]), device="cpu")
    return loaded.model, loaded.vec_normalize


@pytest.mark.long
@pytest.mark.parametrize("name", sampled(NAMES, every=6))
def test_it_is_what_sb3_loads(name: str, tmp_path: Path) -> None:
    case = NAMES[name]
    saved(case, tmp_path / "model")
    both = []
    for load in (theirs, ours):
        torch.manual_seed(0)
        model, normalizer = load(case, tmp_path / "model")
        drawn = torch.rand(1)
        case.observation.seed(6)
        actions = model.predict(observe(model.observation_space), deterministic=True)[0]
        both.append((model, normalizer, drawn, actions))
    (one, one_normalizer, drawn, actions), (other, other_normalizer, drawn_too, actions_too) = both
    assert_same_model(other, one)
    assert np.array_equal(actions, actions_too)
    assert torch.equal(drawn, drawn_too)
    assert_same_statistics(one_normalizer, other_normalizer)
    if case.algorithm is RecurrentPPO and isinstance(case.action, spaces.MultiBinary):
        return  # which sb3-contrib itself cannot train
    for model, *_ in both:
        model.set_random_seed(4)
        case.observation.seed(6)
        model.learn(16, reset_num_timesteps=False)
    assert_same_tensors(other.policy.state_dict(), one.policy.state_dict())
    assert_same_model(other, one)
    assert_same_statistics(one_normalizer, other_normalizer)


def assert_same_statistics(one: VecNormalize | None, other: VecNormalize | None) -> None:
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    for name in ("norm_obs", "norm_reward", "clip_obs", "clip_reward", "gamma", "epsilon", "norm_obs_keys"):
        assert getattr(one, name) == getattr(other, name), name
    pairs = [(one.ret_rms, other.ret_rms)]
    if one.norm_obs:
        both = (one.obs_rms, other.obs_rms)
        pairs += (
            zip(*(rms.values() for rms in both), strict=True) if isinstance(one.obs_rms, dict) else [both]
        )
    for mine, rms in pairs:
        assert np.array_equal(mine.mean, rms.mean)
        assert np.array_equal(mine.var, rms.var)
        assert mine.count == rms.count


def test_nothing_is_unpickled() -> None:
    found: list[str] = []
    sys.addaudithook(lambda event, args: found.append(str(args)) if event == "pickle.find_class" else None)
    loaded = sb3port.load_model(HUB / "ppo-Pendulum-v1", gymnasium.make("Pendulum-v1"), device="cpu")
    assert isinstance(loaded.model, PPO)
    assert found == []
    assert loaded.vec_normalize is not None
    VecNormalize.load(str(HUB / "ppo-Pendulum-v1" / "vec_normalize.pkl"), loaded.vec_normalize.venv)
    assert found


def test_without_an_environment_it_predicts_and_waits() -> None:
    loaded = sb3port.load_model(HUB / "ppo-Pendulum-v1", device="cpu")
    observation = np.float32([[1.0, 0.0, 0.5]])
    assert loaded.vec_normalize is not None
    seen = loaded.vec_normalize.normalize_obs(observation)
    action, _ = loaded.model.predict(seen, deterministic=True)
    expected = sb3port.load_policy(HUB / "ppo-Pendulum-v1").predict(observation, deterministic=True)[0]
    assert np.array_equal(action, expected)
    env = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")] * loaded.model.n_envs)
    loaded.vec_normalize.set_venv(env)
    loaded.model.set_env(loaded.vec_normalize)
    loaded.model.learn(1, reset_num_timesteps=False)


@pytest.mark.parametrize("era", ["0.9.0/ppo-box-linear", "1.6.2/ppo-shared", "1.2.0/a2c-gsde-half"])
def test_those_that_todays_sb3_cannot_load(era: str) -> None:
    """Outputs were recorded by the SB3 of their era, which differ by the noise of another torch."""
    folder = REPOSITORY / "fixtures" / "eras" / era
    recorded = np.load(folder / "reference.npz")
    loaded = sb3port.load_model(folder, device="cpu")
    observation = recorded["observation"][:1]
    seen = loaded.vec_normalize.normalize_obs(observation) if loaded.vec_normalize else observation
    action, _ = loaded.model.predict(seen, deterministic=True)
    assert np.allclose(action, recorded["action"][:1], atol=1e-4)


def test_frames_that_were_normalised_are_stacked_then(tmp_path: Path) -> None:
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]))
    PPO("MlpPolicy", VecFrameStack(env, 2), n_steps=8, batch_size=8).save(tmp_path / "model.zip")
    env.save(str(tmp_path / "vec_normalize.pkl"))
    loaded = sb3port.load_model(
        tmp_path,
        gymnasium.make("Pendulum-v1"),
        vecnormalize=tmp_path / "vec_normalize.pkl",
        device="cpu",
    )
    assert isinstance(loaded.model.env, VecFrameStack)
    assert loaded.model.observation_space.shape == (6,)
    loaded.model.learn(8)


def test_environments_that_do_not_fit() -> None:
    pendulum = HUB / "ppo-Pendulum-v1"
    with pytest.raises(UsageError, match="env does not fit"):
        sb3port.load_model(pendulum, gymnasium.make("CartPole-v1"))
    normalized = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]))
    with pytest.raises(UsageError, match="has a VecNormalize already"):
        sb3port.load_model(pendulum, normalized)
