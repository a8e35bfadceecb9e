"""Policies in numpy alone, by `load_policy` and as exported modules, against SB3's own `predict`.

Within noise: every number at most max(1e-6, 8 times the gap between SB3's float32 and its float64) away.
"""

import copy
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO

from sb3port.checkpoint.checkpoint import Array
from sb3port.commands.policies import read_policy
from sb3port.exports.graphs import GraphOptions
from sb3port.exports.numpy_arrays import write_numpy
from sb3port.inference.policy import PortedPolicy
from tests.conformance.asking import N_SEQUENCES, extras_for
from tests.conformance.building import COUNT, observe, rows_of, saved
from tests.conformance.cases import CASES, Case, cases


@pytest.mark.parametrize("name", cases(every=10, others=6))
def test_numpy_computes_what_sb3_computes(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model, normalizer = saved(case, tmp_path / name)
    checkpoint = read_policy(tmp_path / name)
    raw = observe(case.observation)
    shown = normalizer.normalize_obs(raw) if normalizer else raw
    recurrent = case.algorithm is RecurrentPPO
    outputs = ("action",) if recurrent else ("action", "value")
    write_numpy(checkpoint, tmp_path / "policy.npz", GraphOptions(outputs))
    exported = runpy.run_path(str(tmp_path / "policy.py"))["load"]()
    sb3 = Sb3(model, shown)
    for policy in (PortedPolicy(checkpoint, "numpy"), exported):
        noise = Noise()
        for rows in (slice(0, COUNT), slice(3, 4)):
            given = arguments(case, rows)
            compare(noise, policy.predict(rows_of(raw, rows), **given), sb3, rows_of(shown, rows), given)
        one, _ = policy.predict({k: v[3] for k, v in raw.items()} if isinstance(raw, dict) else raw[3])
        assert one.shape == case.action.shape
        if recurrent:
            compare_episodes(noise, policy, sb3, raw, shown)
        noise.check()
    if "value" in outputs:
        noise = Noise()
        noise.add("value", exported.predict_values(raw), *sb3.values(shown))
        noise.check()


def arguments(case: Case, rows: slice) -> dict[str, Any]:
    """Give masks of actions, or states and starts of episodes."""
    given = {name: array[rows] for name, array in extras_for(case).sb3.items()}
    if case.algorithm is RecurrentPPO:
        shape = (case.policy_kwargs.get("n_lstm_layers", 1), COUNT, 6)
        rng = np.random.default_rng(1)
        state = tuple(rng.normal(size=shape).astype(np.float32)[:, rows] for _ in range(2))
        given |= {"state": state, "episode_start": (rng.random(COUNT) < 0.3)[rows]}
    return given


def compare(noise: "Noise", found: Any, sb3: "Sb3", shown: Any, given: dict[str, Any]) -> None:
    """Compare actions, and states where there are some."""
    action, state = found
    expected, final = sb3.model.predict(shown, deterministic=True, **given)
    exact, exact_state = sb3.exactly(shown, given)
    noise.add("action", action, expected, exact if sb3.acts_in_a_box else expected)
    assert (state is None) == (final is None)
    for name, *parts in zip(("hidden", "cell"), state or (), final or (), exact_state, strict=False):
        noise.add(name, *parts)


def compare_episodes(noise: "Noise", policy: Any, sb3: "Sb3", raw: Any, shown: Any) -> None:
    """Let each side go on from its own states."""
    zeros = np.zeros((sb3.model.policy.lstm_actor.num_layers, N_SEQUENCES, 6), np.float32)
    ours = theirs = exact = (zeros, zeros)
    for begin in range(0, COUNT, N_SEQUENCES):
        rows, starts = slice(begin, begin + N_SEQUENCES), np.array([True, False, begin == 8, False])
        action, ours = policy.predict(rows_of(raw, rows), ours, starts)
        some = rows_of(shown, rows)
        expected, theirs = sb3.model.predict(some, theirs, starts, deterministic=True)
        exactly, exact = sb3.exactly(some, {"state": exact, "episode_start": starts})
        noise.add("later action", action, expected, exactly if sb3.acts_in_a_box else expected)
        for name, *parts in zip(("later hidden", "later cell"), ours, theirs, exact, strict=True):
            noise.add(name, *parts)


class Noise:
    """Differences and SB3's own noise, over everything that was asked: of few numbers, noise is luck."""

    def __init__(self) -> None:
        self.differences: dict[str, float] = {}
        self.gaps: dict[str, float] = {}

    def add(self, name: str, found: Array, expected: Array, exact: Array) -> None:
        """Look at numbers, of which those of one name have noise of one size."""
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        for known, other in ((self.differences, found), (self.gaps, exact.reshape(expected.shape))):
            known[name] = max(known.get(name, 0.0), float(np.abs(other - expected).max()))

    def check(self) -> None:
        for name, difference in self.differences.items():
            assert difference <= max(1e-6, 8 * self.gaps[name]), name


class Sb3:
    """SB3's model, and its policy in float64 behind the float32 that it makes of observations."""

    @torch.no_grad()
    def __init__(self, model: Any, shown: Any) -> None:
        self.model = model
        self.acts_in_a_box = isinstance(model.action_space, spaces.Box)
        model.predict(shown)  # what is left of the training has gradients, and cannot be copied
        if getattr(model.policy, "use_sde", False):
            model.policy.reset_noise()
        self._double = copy.deepcopy(model.policy).double()
        self._double.set_training_mode(False)
        for extractor in {self._double.pi_features_extractor, self._double.vf_features_extractor}:
            extractor.register_forward_pre_hook(lambda _, args: tuple(map(_doubled, args)))

    @torch.no_grad()
    def values(self, shown: Any) -> tuple[Array, Array]:
        """Values in float32, and in float64."""
        batch, _ = self.model.policy.obs_to_tensor(shown)
        single, double = (one.predict_values(batch).flatten() for one in (self.model.policy, self._double))
        return single.numpy(), double.numpy()

    @torch.no_grad()
    def exactly(self, shown: Any, given: dict[str, Any]) -> tuple[Array, tuple[Array, ...]]:
        """The most likely actions and the states that SB3 would give in float64."""
        batch, _ = self._double.obs_to_tensor(shown)
        if "state" in given:
            states = tuple(torch.as_tensor(part).double() for part in given["state"])
            starts = torch.as_tensor(given["episode_start"]).double()
            distribution, after = self._double.get_distribution(batch, states, starts)
        else:
            distribution, after = self._double.get_distribution(batch), ()
        return self._bounded(distribution.mode().numpy()), tuple(part.numpy() for part in after)

    def _bounded(self, mode: Array) -> Array:
        space = self.model.action_space
        if not self.acts_in_a_box:
            return mode
        mode = mode.reshape(-1, *space.shape)
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        if self.model.policy.squash_output:
            return low + 0.5 * (mode + 1) * (high - low)
        return np.clip(mode, low, high)


def _doubled(value: Any) -> Any:
    return {key: part.double() for key, part in value.items()} if isinstance(value, dict) else value.double()
