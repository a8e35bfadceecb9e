"""Networks in 16 bits: near those in 32, with weights, heads and losses in 32; by autograd alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.environments.given import around
from sb3port.errors import UsageError
from sb3port.ppo.engines import mixed_precision
from sb3port.ppo.engines.exact_autograd import AutogradEngine
from sb3port.ppo.engines.mixed_precision import in_half
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train
from sb3port.ppo.runs.trainer import Trainer
from tests.plugin import environments  # noqa: F401 (registers them)

from .cases import ANY

SETTINGS = {"n_steps": 32, "batch_size": 64, "n_epochs": 1, "max_grad_norm": 1e9}


@dataclass(frozen=True)
class Case:
    new: PolicyOptions
    env: str = "CartPole-v1"
    env_kwargs: Any = None


CASES = {
    "vector": Case(PolicyOptions(policy_kwargs="dict(net_arch=[64, 64])")),
    "image": Case(PolicyOptions(policy="CnnPolicy"), ANY, {"kind": "image"}),
    "recurrent": Case(PolicyOptions("ppo_lstm", policy_kwargs="dict(net_arch=[16], lstm_hidden_size=16)")),
}


def begin(case: Case, mixed: bool = True, engine: str = "exact", **more: object) -> Trainer:
    run = {"eval_episodes": 0, "seed": 3, "mixed_precision": mixed, "engine": engine}
    said = around(case.env_kwargs, (), None)
    options = RunOptions(case.env, {**SETTINGS, **more}, 128, 2, run=run, around=said)
    return begin_training(options, case.new, lambda _: None)


def gradients(trainer: Trainer) -> np.ndarray:
    trainer.iterate()
    return np.concatenate([np.ravel(row["exp_avg"]) for row in trainer.engine.optimizer().state.values()])


@pytest.mark.parametrize("name", CASES)
def test_near_full_precision(name: str) -> None:
    half = begin(CASES[name])
    assert isinstance(half.engine, AutogradEngine)
    assert "in mixed precision, so without SB3's bits" in half.why_engine
    assert {tensor.dtype for tensor in half.engine.tensors().values()} == {np.dtype(np.float32)}
    near, exact = gradients(half), gradients(begin(CASES[name], mixed=False))
    apart = np.linalg.norm(exact - near) / np.linalg.norm(exact)
    assert 1e-5 < apart < 0.03  # another arithmetic, of the same thing


def test_what_is_computed_in_how_many_bits() -> None:
    """Linear layers of the networks see 16, the heads and what comes out 32."""
    trainer = begin(CASES["vector"])
    engine, seen = trainer.engine, {}
    assert isinstance(engine, AutogradEngine)

    def note(name: str) -> Any:
        return lambda *told: seen.__setitem__(name, told[-1].dtype)

    for name, module in engine.policy.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(note(name))
    found = engine.act({"": np.zeros((2, 4), np.float32)}, None, None)
    assert {name: str(dtype) for name, dtype in seen.items()} == {
        "mlp_extractor.policy_net.0": "torch.bfloat16",
        "mlp_extractor.policy_net.2": "torch.bfloat16",
        "mlp_extractor.value_net.0": "torch.bfloat16",
        "mlp_extractor.value_net.2": "torch.bfloat16",
        "action_net": "torch.float32",
        "value_net": "torch.float32",
    }
    assert found.values.dtype == found.log_probs.dtype == np.float32


def test_lstms_give_states_in_32_bits() -> None:
    lstm, rows = torch.nn.LSTM(4, 8), torch.randn(5, 3, 4)
    states = torch.randn(1, 3, 8), torch.randn(1, 3, 8)
    with torch.backends.mkldnn.flags(enabled=False):  # whose LSTM wants instructions that not all have
        outputs, after = in_half(lstm.forward, torch.device("cpu"))(rows, states)
        expected, _ = lstm(rows, states)
    assert {outputs.dtype, *(state.dtype for state in after)} == {torch.float32}
    assert 1e-5 < (outputs - expected).abs().max() < 0.05


def test_gradients_in_float16_are_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale that overflows skips the step and is halved; the next ones are taken."""
    monkeypatch.setattr(mixed_precision, "half_type", lambda _: torch.float16)
    trainer = begin(CASES["vector"], n_epochs=4)
    engine, before = trainer.engine, trainer.engine.tensors()
    assert isinstance(engine, AutogradEngine)
    first = engine._scaler.get_scale()
    trainer.iterate()
    assert engine._scaler.get_scale() < first
    steps = {int(row["step"]) for row in engine.optimizer().state.values()}
    assert len(steps) == 1
    assert 0 < steps.pop() < 4
    assert any((before[name] != tensor).any() for name, tensor in engine.tensors().items())


def test_no_scale_in_bfloat16() -> None:
    engine = begin(CASES["vector"]).engine
    assert isinstance(engine, AutogradEngine)
    assert not engine._scaler.is_enabled()


@pytest.mark.parametrize("engine", ["fast", "fast-numpy"])
def test_engines_that_have_none(engine: str) -> None:
    with pytest.raises(
        UsageError, match=f"--engine {engine} does not take this policy: it is computed in mixed"
    ):
        begin(CASES["vector"], engine=engine)


def test_auto_takes_one_that_has() -> None:
    trainer = begin(CASES["vector"], engine="auto")
    assert isinstance(trainer.engine, AutogradEngine)
    assert "is computed in mixed precision, which fast does not take" in trainer.why_engine


def test_a_resumed_run_goes_on_so(tmp_path: Path) -> None:
    train(begin(CASES["vector"]), None, tmp_path, Watcher())
    trainer, *_ = resume(tmp_path, lambda _: None, until=256)
    assert trainer.settings.mixed_precision
    assert isinstance(trainer.engine, AutogradEngine)
