"""The fast engine's recurrent policies: torch's gradients but for rounding, and the same bits each time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.errors import TrainingDiverged, UsageError
from sb3port.networks.weights import build_policy
from sb3port.ppo.engines.base import Learner, Recall
from sb3port.ppo.engines.choosing import Work, choose_engine
from sb3port.ppo.engines.exact_autograd import AutogradEngine
from sb3port.ppo.engines.fast import recurrent_arithmetic
from sb3port.ppo.engines.fast.recurrent_engine import RecurrentEngine
from sb3port.ppo.engines.fast.sequences import pack
from sb3port.ppo.engines.minibatches import Minibatch
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train
from sb3port.ppo.runs.trainer import Trainer

from .cases import CASES, LSTM, kind
from .sb3 import Case, begin_ours
from .test_resuming import TINY, run_on, same_runs

PARTS = kind(
    "parts",
    algorithm="ppo_lstm",
    policy="MultiInputPolicy",
    policy_kwargs={**LSTM, "activation_fn": "ReLU", "share_features_extractor": False},
)
TAKEN = {
    **{name: case for name, case in CASES.items() if name.startswith("recurrent") and "Dict" not in name},
    "recurrent, Dict of vectors": PARTS,
}
_SOON = ("recurrent, shared", "recurrent, critic without", "recurrent, Dict of vectors")
EVERY = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[] if name in _SOON else [pytest.mark.long])
        for name, case in TAKEN.items()
    ],
)
CARTPOLE = TAKEN["recurrent, normalised"]


class Doubled(AutogradEngine):
    """SB3's operations in float64."""

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner)
        self.policy.double()
        for moments in self._optimizer.state.values():
            moments.update(_doubled(moments))
        preprocess = self.policy.preprocess
        self.policy.preprocess = lambda batch: _doubled(preprocess(batch))  # type: ignore[assignment]

    def _minibatches(self, *arguments: Any) -> Any:
        for minibatch in super()._minibatches(*arguments):
            yield Minibatch(**{name: _doubled(value) for name, value in vars(minibatch).items()})


def _doubled(value: Any) -> Any:
    match value:
        case Tensor() if value.is_floating_point():
            return value.double()
        case dict():
            return {key: _doubled(part) for key, part in value.items()}
        case tuple():
            parts = [_doubled(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def began(case: Case) -> Trainer:
    """A training whose policy is not the first one any more, so that gradients go everywhere."""
    torch.set_num_threads(1)
    trainer = begin_ours(replace(case, engine="fast"))
    trainer.iterate()
    return trainer


def learner_of(trainer: Trainer) -> Learner:
    """A copy of a training's policy, and of its optimiser's state."""
    policy = build_policy(trainer.spec, trainer.engine.tensors()).requires_grad_(True)
    settings = trainer.settings.hyperparameters
    return Learner(trainer.spec, policy, settings, "Adam", trainer.engine.optimizer(), torch.device("cpu"))


def test_rows_are_packed_step_by_step() -> None:
    begins = np.array([1, 0, 0, 1, 0, 1, 0, 0, 0, 1], np.bool_)
    rows, steps = pack(np.array([2, 3, 4, 5, 6, 7, 8, 9]), begins)
    assert steps.counts == [4, 2, 1, 1]
    assert rows.tolist() == [5, 3, 2, 9, 6, 4, 7, 8]
    assert steps.before.tolist() == [0, 1, 2, 3, 4, 5, 8, 10]


@EVERY
def test_gradients_of_minibatches(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = began(case)
    rollout, sizes = trainer.collector.collect(), trainer._step_sizes(frozen=False)
    noise = np.random.default_rng(0).normal(scale=0.2, size=rollout.log_probs.shape)
    rollout.log_probs[:] += noise.astype(np.float32)  # so that some are clipped
    fast, exact = RecurrentEngine(learner_of(trainer)), Doubled(learner_of(trainer))
    np.random.seed(1)
    minibatches = list(exact._minibatches(rollout.by_environment(), case.n_envs))
    np.random.seed(1)
    order, transitions = fast._order(rollout.size), fast._gather(rollout)
    for number, minibatch in enumerate(minibatches):
        exact._optimizer.zero_grad()
        *_, loss, _ = exact._losses(minibatch, sizes)
        loss.backward()
        chosen = order[number * fast._settings.batch_size :][: fast._settings.batch_size]
        expected = {
            name: np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
            for name, parameter in exact.policy.named_parameters()
        }
        largest = max(float(np.abs(part).max()) for part in expected.values())
        for little in (-1, np.inf):  # without padding, and with any
            monkeypatch.setattr(recurrent_arithmetic, "_LITTLE", little)
            fast._arithmetic.gradient(transitions, chosen, sizes)
            assert _gap(fast._layout.get(fast._parameters.gradient), expected) <= 1e-6 * largest


@EVERY
def test_a_whole_update(case: Case) -> None:
    trainer = began(case)
    rollout, sizes = trainer.collector.collect(), trainer._step_sizes(frozen=False)
    ends = []
    for engine in (AutogradEngine, Doubled, RecurrentEngine):
        made = engine(learner_of(trainer))
        np.random.seed(2)
        ends.append((made.update(rollout, sizes), made.tensors(), made.optimizer()))
    (said, float32, _), (_, float64, _), (found, fast, optimizer) = ends
    assert _gap(fast, float32) <= 8 * max(_gap(float32, float64), 1e-7)
    assert found.epochs == said.epochs
    for name in ("policy_gradient_loss", "value_loss", "entropy_loss", "approx_kl", "clip_fraction"):
        value = getattr(said, name)
        assert getattr(found, name) == pytest.approx(value, rel=1e-3, abs=1e-4), name
    assert optimizer.count == len(optimizer.state)


@EVERY
def test_acting(case: Case) -> None:
    """Values, likelihoods and what is remembered are those of the same actions."""
    trainer = began(case)
    collector, exact = trainer.collector, AutogradEngine(learner_of(trainer))
    fast = RecurrentEngine(learner_of(trainer))
    memory = collector.progress.memory
    assert memory is not None
    starts = np.zeros(case.n_envs, np.float32)
    starts[0] = 1
    recall = Recall(memory, starts)
    found, after = fast.act(collector._seen, None, recall), exact.act(collector._seen, None, recall).memory
    states, episode_starts = exact._remember(recall)
    with torch.no_grad():
        values, log_probs, _ = exact.policy.evaluate_actions(
            exact._batches(collector._seen), torch.from_numpy(found.actions), states, episode_starts
        )
    np.testing.assert_allclose(found.memory, after, atol=2e-6)
    np.testing.assert_allclose(found.values, values.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.log_probs, log_probs.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(fast.values(collector._seen, recall), found.values)


def test_one_seed_gives_one_set_of_bits_and_resuming_keeps_them(tmp_path: Path) -> None:
    run = {"eval_episodes": 0, "seed": 5, "engine": "fast"}
    options = RunOptions("CartPole-v1", TINY, 200, 2, save_every=100, run=run)
    policy = PolicyOptions("ppo_lstm", policy_kwargs="dict(lstm_hidden_size=8, net_arch=[8])")
    whole, again = tmp_path / "whole", tmp_path / "again"
    for out in (whole, again):
        train(begin_training(options, policy, lambda _: None), None, out, Watcher())
    same_runs(whole, again)
    first = min((again / "checkpoints").glob("0*"))
    assert resume(first, lambda _: None)[0].settings.engine == "fast-numpy"
    run_on(first)
    same_runs(whole, again)


def test_what_the_learning_makes_is_named(tmp_path: Path) -> None:
    settings, run = {**TINY, "learning_rate": 1e30}, {"eval_episodes": 0, "engine": "fast"}
    options = RunOptions("Pendulum-v1", settings, 320, 1, save_every=50, run=run)
    trainer = begin_training(options, PolicyOptions("ppo_lstm"), lambda _: None)
    with pytest.raises(TrainingDiverged, match=r"became NaN or infinite|hold NaN or infinite"):
        train(trainer, None, tmp_path, Watcher())


def test_which_engine_is_taken() -> None:
    learner, work = learner_of(began(CARTPOLE)), Work(10_000, 2)
    chosen = choose_engine("auto", learner, work)
    assert (chosen.name, chosen) == ("fast-numpy", choose_engine("fast", learner, work))
    assert "LSTM" in chosen.reason
    with pytest.raises(UsageError, match="fast-numba does not take this policy: it is recurrent"):
        choose_engine("fast-numba", learner, work)
    shared = replace(learner.spec, net_arch=replace(learner.spec.net_arch, shared=(8,)))
    chosen = choose_engine("auto", replace(learner, spec=shared), work)
    assert chosen.name == "exact"
    assert "above its LSTM" in chosen.reason


def _gap(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)
