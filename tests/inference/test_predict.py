"""`load_policy`: the bits of SB3's own `predict`, for every family, space and extractor."""

import warnings
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
from sb3port import errors
from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete
from sb3port.errors import UsageError
from sb3port.families.activations import NAMES
from sb3port.inference import numpy_activations
from sb3port.inference.modes import mode_of
from sb3port.inference.policy import PortedPolicy
from sb3port.networks.mlp import make_activation
from tests.conformance.asking import extras_for
from tests.conformance.building import observe, saved
from tests.conformance.cases import ACTIVATIONS, CASES, Case, cases
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
    numpy = sb3port.load_policy(tmp_path / "port", "numpy")
    for rows in (raw, *rows_of_one, *(row_of(raw, i) for i in range(9))):
        expected = model.predict(rows, deterministic=True)[0]
        assert same(policy.predict(rows)[0], expected)
        assert np.abs(numpy.predict(rows)[0] - expected).max() <= 1e-5


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


ARGUMENTS = (
    "CELU(alpha=0.5)",
    "ELU(alpha=0.5)",
    "GELU(approximate='tanh')",
    "Hardshrink(lambd=0.3)",
    "Hardtanh(min_val=-0.5, max_val=2.0)",
    "LeakyReLU(negative_slope=0.2)",
    "Softplus(beta=2.0, threshold=1.5)",
    "Softshrink(lambd=0.3)",
    "Threshold(threshold=0.1, value=-0.5)",
    *(f"{name}(dim=-1)" for name in ("LogSoftmax", "Softmax", "Softmin")),
)


@pytest.mark.parametrize("text", [*sorted(ACTIVATIONS), *ARGUMENTS])
def test_activations_in_numpy(text: str) -> None:
    rows = np.float32([[-200, -30, -6, -3, -1.2, -0.5, -0.1, -1e-4, 0, 1e-4, 0.1, 0.5, 1.2, 3, 6, 30, 200]])
    rows = np.concatenate([rows, rows / 7, np.random.default_rng(0).normal(size=rows.shape)]).astype(
        np.float32
    )
    expected, exact = (
        make_activation(text)(torch.tensor(rows, dtype=d)).numpy() for d in (None, torch.float64)
    )
    with warnings.catch_warnings(action="error"):
        found = numpy_activations.activation_of(text)(rows.copy())
    assert found.dtype == np.float32
    assert (np.abs(found - expected) <= np.maximum(1e-6, 8 * np.abs(expected - exact))).all()


def test_every_activation_is_there_in_numpy() -> None:
    asked = {text.partition("(")[0] for text in (*ACTIVATIONS, *ARGUMENTS)}
    assert asked == NAMES == numpy_activations.ACTIVATIONS.keys()


@pytest.mark.parametrize("installed", [True, False])
def test_auto_takes_what_is_installed(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model("lstm", tmp_path / "model")
    if not installed:
        monkeypatch.setattr(errors, "find_spec", lambda _: None)
    policy = sb3port.load_policy(model.source)
    assert policy.backend == ("torch" if installed else "numpy")
    raw = raw_observations("lstm", 5)
    assert np.abs(policy.predict(raw)[0] - model.predict(raw, deterministic=True)[0]).max() <= 1e-6
    if not installed:
        with pytest.raises(UsageError, match="the torch backend needs torch") as refused:
            sb3port.load_policy(model.source, "torch")
        assert "backend='numpy'" in refused.value.hint


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
    for name in ("box", "lstm"):
        numpy = sb3port.load_policy(make_model(name, tmp_path / name).source, "numpy")
        with pytest.raises(UsageError, match="no random actions"):
            numpy.predict(raw_observations(name, 1), deterministic=False)
