"""Normalisation, clipping and unscaling give SB3's numbers, bit for bit."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from lerobot_policy_ppo import (
    ClipActionProcessorStep,
    UnscaleActionProcessorStep,
    VecNormalizeProcessorStep,
    make_ppo_pre_post_processors,
)
from tests.gym_spaces import space_to_json

from .oracles import ACTIONS, VECTOR, make_config, make_pair, observations

STATE = "observation.state"


def make_vec_normalize(shape: tuple[int, ...], clip_obs: float = 10.0, epsilon: float = 1e-8) -> VecNormalize:
    """SB3's VecNormalize with statistics, one of them almost without variance, and no environment."""
    oracle = VecNormalize.__new__(VecNormalize)
    oracle.norm_obs, oracle.clip_obs, oracle.epsilon = True, clip_obs, epsilon
    oracle.obs_rms = RunningMeanStd(shape=shape)
    rng = np.random.default_rng(5)
    oracle.obs_rms.mean = rng.normal(size=shape)
    oracle.obs_rms.var = rng.uniform(0.01, 9.0, size=shape)
    oracle.obs_rms.var.flat[0] = 1e-10
    return oracle


def make_step(oracle: VecNormalize) -> VecNormalizeProcessorStep:
    rms = oracle.obs_rms
    return VecNormalizeProcessorStep(
        clip_obs=oracle.clip_obs,
        epsilon=oracle.epsilon,
        stats={STATE: {"mean": rms.mean, "var": rms.var, "count": rms.count}},
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8"])
@pytest.mark.parametrize(("clip_obs", "epsilon"), [(10.0, 1e-8), (0.5, 1e-3)])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (1,), ()])
def test_vec_normalize(dtype: str, clip_obs: float, epsilon: float, shape: tuple[int, ...]) -> None:
    oracle = make_vec_normalize(shape, clip_obs, epsilon)
    raw = (np.random.default_rng(0).normal(size=(256, *shape)) * 20).astype(dtype)
    expected = oracle.normalize_obs(raw)
    assert np.abs(expected).max() == np.float32(clip_obs), "clipping must be exercised"
    before = raw.copy()
    step = make_step(oracle)
    got = step.normalize(STATE, torch.from_numpy(raw))
    assert got.dtype == torch.float32
    assert got.numpy().tobytes() == expected.tobytes()
    assert (raw == before).all()
    if len(shape) > 1:
        flat = step.normalize(STATE, torch.from_numpy(raw.reshape(256, -1)))
        assert flat.numpy().tobytes() == expected.tobytes()


def test_vec_normalize_leaves_other_keys_alone() -> None:
    step = make_step(make_vec_normalize((3,)))
    state, other = torch.full((2, 3), 1.5), torch.ones(2, 2)
    got = step.observation({STATE: state, "observation.other": other})
    assert set(got) == {STATE, "observation.other"}
    assert got["observation.other"] is other
    assert torch.equal(got[STATE], step.normalize(STATE, state))
    assert not torch.equal(got[STATE], state)


def test_vec_normalize_state() -> None:
    oracle = make_vec_normalize((2, 3))
    state = make_step(oracle).state_dict()
    assert list(state) == [f"{STATE}.mean", f"{STATE}.var", f"{STATE}.count"]
    assert all(tensor.dtype == torch.float64 for tensor in state.values())
    assert state[f"{STATE}.count"].shape == ()
    assert state[f"{STATE}.mean"].numpy().tobytes() == oracle.obs_rms.mean.tobytes()
    step = VecNormalizeProcessorStep()
    assert step.state_dict() == {}
    step.load_state_dict(state)
    x = torch.randn(4, 2, 3)
    assert np.array_equal(step.normalize(STATE, x).numpy(), oracle.normalize_obs(x.numpy()))


@pytest.mark.parametrize(
    ("stats", "message"),
    [
        ({"mean": [0.0], "var": [1.0]}, "count"),
        ({"mean": [0.0], "var": [1.0], "count": 1.0, "std": [1.0]}, "std"),
        ({"mean": [0.0, 0.0], "var": [1.0], "count": 1.0}, "shapes"),
    ],
)
def test_vec_normalize_refuses_wrong_statistics(stats: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VecNormalizeProcessorStep(stats={STATE: stats})


def test_vec_normalize_refuses_wrong_shapes() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 4\)"):
        make_step(make_vec_normalize((3,))).normalize(STATE, torch.zeros(2, 4))


SPACES = {
    "float32": ACTIONS,
    "float64": spaces.Box(np.array([-0.1, -0.2]), np.array([0.3, 1e-17]), dtype=np.float64),
    "uniform": spaces.Box(-0.1, 0.1, (4,), np.float32),
    "matrix": spaces.Box(np.full((2, 2), -0.3, np.float32), np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)),
    "scalar": spaces.Box(-0.1, 0.1, (), np.float64),
    "int32": spaces.Box(-1, 2, (3,), np.int32),
    "int8": spaces.Box(-1, 2, (3,), np.int8),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("squash", [False, True])
def test_actions_for_the_environment(name: str, squash: bool) -> None:
    """The whole postprocessor against SB3's `predict`, dtype included."""
    space = SPACES[name]
    oracle, port = make_pair(action=space, use_sde=squash, squash_output=squash)
    raw = observations(VECTOR, 64)
    expected, _ = oracle.predict(raw, deterministic=True)
    pre, post = make_ppo_pre_post_processors(port.config)
    got = post(port.select_action(pre({STATE: torch.from_numpy(raw)}))).numpy()
    assert got.dtype == expected.dtype
    assert got.shape == (64, int(np.prod(space.shape)))
    assert got.tobytes() == expected.tobytes()
    unbounded = port.select_action({STATE: torch.from_numpy(raw)}).numpy()
    assert not np.array_equal(unbounded, got), "bounds must be exercised"


@pytest.mark.parametrize("step_class", [ClipActionProcessorStep, UnscaleActionProcessorStep])
def test_bounds_survive_json(step_class: type) -> None:
    form = space_to_json(SPACES["matrix"])
    step = step_class(low=form["low"], high=form["high"], dtype=form["dtype"])
    again = step_class(**step.get_config())
    action = torch.randn(5, 4)
    assert torch.equal(step.action(action), again.action(action))


def test_infinite_bounds_do_nothing() -> None:
    _, post = make_ppo_pre_post_processors(make_config(VECTOR, spaces.Box(-np.inf, np.inf, (2,), np.float32)))
    action = torch.randn(3, 2) * 1e6
    assert torch.equal(post(action), action)


def test_order_and_names_of_steps() -> None:
    step = make_step(make_vec_normalize((5,)))
    for config, last in (
        (make_config(VECTOR, ACTIONS), ["sb3port_clip_action"]),
        (make_config(VECTOR, ACTIONS, use_sde=True, squash_output=True), ["sb3port_unscale_action"]),
        (make_config(VECTOR, spaces.Discrete(2)), []),
    ):
        for vec_normalize in (None, step):
            pre, post = make_ppo_pre_post_processors(config, vec_normalize=vec_normalize)
            middle = ["sb3port_vec_normalize"] if vec_normalize else []
            assert [type(step)._registry_name for step in pre.steps] == [
                "rename_observations_processor",
                "to_batch_processor",
                *middle,
                "device_processor",
                "normalizer_processor",
            ]
            names = [type(step)._registry_name for step in post.steps]
            assert names == ["unnormalizer_processor", "device_processor", *last]


def test_discrete_actions_stay_integers() -> None:
    oracle, port = make_pair(action=spaces.Discrete(4))
    raw = observations(VECTOR, 16)
    pre, post = make_ppo_pre_post_processors(port.config)
    got = post(port.select_action(pre({STATE: torch.from_numpy(raw)})))
    assert got.dtype == torch.int64
    assert got.shape == (16, 1)
    assert np.array_equal(got.squeeze(1).numpy(), oracle.predict(raw, deterministic=True)[0])
    assert isinstance(oracle, ActorCriticPolicy)
