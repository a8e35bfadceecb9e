"""`load_policy`: the bits of SB3's own `predict`, for every family, space and extractor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_maskable
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import sb3port
from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete
from sb3port.errors import UsageError
from sb3port.inference.modes import mode_of
from sb3port.inference.policy import PortedPolicy
from tests.conformance.asking import extras_for
from tests.conformance.building import observe, saved
from tests.conformance.cases import CASES, Case, cases
from tests.ports import port_of
from tests.rollouts.models import MODELS, Model, make_model, raw_observations, row_of


def same(one: Any, other: Any) -> bool:
    """The same bits, type and shape."""
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@pytest.mark.parametrize("name", cases(every=10, others=3))
@pytest.mark.parametrize("deterministic", [True, False])
def test_the_bits_of_predict(name: str, deterministic: bool, tmp_path: Path) -> None:
    case = CASES[name]
    model, normalizer = saved(case, tmp_path / name)
    policy = sb3port.load_policy(port_of(tmp_path / name, tmp_path / "port", verify=False).port)
    raw = observe(case.observation)
    given = arguments(case, deterministic)
    for rows in (raw, row_of(raw, slice(0, 1)), row_of(raw, 3)):
        shown = normalizer.normalize_obs(rows) if normalizer else rows
        here = given if rows is raw else {"deterministic": deterministic}
        action, state = drawn(policy, policy, rows, here)
        expected, final = drawn(model, model.policy, shown, here)
        assert same(action, expected), np.abs(action - expected).max()
        if case.algorithm is RecurrentPPO:
            assert all(map(same, state, final))
        else:
            assert state is None


def arguments(case: Case, deterministic: bool) -> dict[str, Any]:
    extras = extras_for(case)
    given: dict[str, Any] = {"deterministic": deterministic, **extras.sb3}
    if case.algorithm is RecurrentPPO:
        shape = (case.policy_kwargs.get("n_lstm_layers", 1), 24, 6)
        rng = np.random.default_rng(1)
        state = tuple(rng.normal(size=shape).astype(np.float32) for _ in range(2))
        given |= {"state": state, "episode_start": rng.random(24) < 0.3}
    return given


def drawn(asked: Any, noisy: Any, rows: Any, given: dict[str, Any]) -> Any:
    """Ask with the same noise on both sides."""
    torch.manual_seed(5)
    if not given["deterministic"] and getattr(noisy.spec if asked is noisy else noisy, "use_sde", False):
        noisy.reset_noise(24)
    return asked.predict(rows, **given)


@pytest.mark.parametrize("name", ["image", "dict"])
def test_images_with_their_channels_last(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    policy = sb3port.load_policy(model.port(tmp_path / "port"))
    raw = raw_observations(name, 9)
    rows_of_one = [row_of(raw, slice(i, i + 1)) for i in range(9)]
    for rows in (raw, *rows_of_one, *(row_of(raw, i) for i in range(9))):
        assert same(policy.predict(rows)[0], model.predict(rows, deterministic=True)[0])


def returns(acting: Any, model: Model, deterministic: bool) -> Any:
    """What SB3's own evaluation makes of twelve episodes, normalising for itself where it is to."""
    env = Monitor(model.kind.make_env())
    venv = env if isinstance(acting, PortedPolicy) else model.venv(env)
    env.reset(seed=11)
    torch.manual_seed(3)
    maskable = model.kind.algorithm is MaskablePPO
    evaluate: Any = evaluate_maskable if maskable else evaluate_policy
    return evaluate(acting, venv, 12, deterministic=deterministic, return_episode_rewards=True)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("deterministic", [True, False])
def test_evaluate_policy_gives_the_same_returns(name: str, deterministic: bool, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    policy = sb3port.load_policy(model.port(tmp_path / "port"))
    if model.kind.kwargs.get("use_sde"):
        for noisy in (policy, model.sb3.policy):
            torch.manual_seed(1)
            noisy.reset_noise(1)
    expected = returns(model.sb3, model, deterministic)
    assert returns(policy, model, deterministic) == expected
    assert len(set(expected[0])) > 3


def test_near_ties_are_decided_as_sb3_decides_them() -> None:
    """By the probabilities, which rounding can make equal."""
    rng = np.random.default_rng(0)
    size = 5
    spec = PolicySpec("ppo", Box((1,), "float32", np.zeros(1), np.zeros(1)), Discrete(size), NetArch((), ()))
    distribution, mode, decided_by_rounding = CategoricalDistribution(size), mode_of(spec), 0
    for scale in (1e-9, 1e-8, 1e-7, 1e-6, 1e-4, 1e-3, 1.0, 1e3):
        for middle in (0.0, 1.0, 30.0, 5e3):
            logits = torch.as_tensor(middle + scale * rng.normal(size=(50, size)), dtype=torch.float32)
            for rows in (logits, *logits.split(1)):
                expected = distribution.proba_distribution(rows).mode()
                assert np.array_equal(mode(rows, None), expected)
                decided_by_rounding += int((expected != rows.argmax(dim=1)).sum())
    assert decided_by_rounding > 0


MLPS = ["box", "box-normalized", "discrete", "multidiscrete", "multibinary", "of-choices", "gsde-squashed"]
MASKABLE = ["maskable", "maskable-multidiscrete", "maskable-multibinary"]


@pytest.mark.parametrize("name", [*MLPS, *MASKABLE])
def test_numpy_is_within_noise(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    policy = sb3port.load_policy(model.port(tmp_path / "port"), backend="numpy")
    raw = raw_observations(name, 200)
    given: dict[str, Any] = {"action_masks": masks_for(model, 200)} if name in MASKABLE else {}
    action, state = policy.predict(raw, **given)
    expected, _ = model.predict(raw, deterministic=True, **given)
    assert (action.dtype, action.shape, state) == (expected.dtype, expected.shape, None)
    assert np.abs(action - expected).max() <= 1e-6
    one, _ = policy.predict(row_of(raw, 3))
    assert (one.dtype, one.shape) == (expected.dtype, expected.shape[1:])


def masks_for(model: Model, count: int) -> np.ndarray:
    env = model.kind.make_env()
    masks = []
    for env.seen in range(count):
        masks.append(env.mask())
    return np.stack(masks)


@pytest.mark.parametrize(
    "activation", ["ReLU", "ELU", "LeakyReLU", "Sigmoid", "SiLU", "Softplus", "Softsign"]
)
def test_activations_of_the_numpy_backend(activation: str, tmp_path: Path) -> None:
    case = Case(policy_kwargs={"activation_fn": getattr(torch.nn, activation)})
    model, _ = saved(case, tmp_path / "model")
    raw = 5 * observe(case.observation)
    action, _ = sb3port.load_policy(tmp_path / "model", "numpy").predict(raw)
    assert np.abs(action - model.predict(raw, deterministic=True)[0]).max() <= 1e-6


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("lstm", "LSTMs"), ("image", "images"), ("dict", "images")],
)
def test_what_numpy_does_not_have_is_named(name: str, lacks: str, tmp_path: Path) -> None:
    source = make_model(name, tmp_path / "model").source
    with pytest.raises(UsageError, match=lacks) as refused:
        sb3port.load_policy(source, "numpy")
    assert refused.value.hint == "load it with backend='torch'"


def test_wrong_arguments(tmp_path: Path) -> None:
    source = make_model("dict", tmp_path / "model").source
    with pytest.raises(UsageError, match="no backend 'jax'"):
        sb3port.load_policy(source, "jax")  # type: ignore[arg-type]
    policy = sb3port.load_policy(source)
    raw = raw_observations("dict", 2)
    for wrong, words in (
        (raw["state"], "the observation is a ndarray, but the space is a Dict"),
        ({"state": raw["state"]}, "the observation has no robot_state, agent_pos"),
        ({**raw, "state": raw["state"][0]}, "not all single"),
        (
            {**raw, "state": np.zeros((2, 4))},
            r"observation 'state' has the shape \(2, 4\), but .* takes \(1,\)",
        ),
        ({**raw, "pixels": np.array([0, 3])}, "none of those from 0 to below 3"),
    ):
        with pytest.raises(ValueError, match=words):
            policy.predict(wrong)
    with pytest.raises(ValueError, match="for maskable policies"):
        policy.predict(raw, action_masks=np.ones((2, 4)))
    with pytest.raises(ValueError, match="gSDE"):
        policy.reset_noise()
    numpy = sb3port.load_policy(make_model("box", tmp_path / "box").source, "numpy")
    with pytest.raises(UsageError, match="no random actions"):
        numpy.predict(raw_observations("box", 1), deterministic=False)
