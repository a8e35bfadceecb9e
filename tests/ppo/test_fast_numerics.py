"""The fast engine computes what torch computes, for any policy that it takes, but for rounding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.ppo.engines.fast.engine import FastEngine
from sb3port.ppo.engines.fast.fitting import unfit
from sb3port.ppo.hyperparameters import Hyperparameters

from .fast_cases import Example, box, choices, examples, loss_of, updated

ENGINES = pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "numba"])
_EXAMPLES = {"some": 12, "many": 300}
COUNTS = pytest.mark.parametrize("count", ["some", pytest.param("many", marks=pytest.mark.thorough)])


def on_examples(count: str, check: Callable[[Example], None]) -> None:
    """Run a check on random examples, the same ones every time."""
    torch.set_num_threads(1)
    options = {"deadline": None, "derandomize": True, "database": None}
    quiet = settings(max_examples=_EXAMPLES[count], suppress_health_check=list(HealthCheck), **options)
    quiet(given(examples())(check))()


@ENGINES
@COUNTS
def test_gradient_of_a_minibatch(compiled: bool, count: str) -> None:
    def check(example: Example) -> None:
        learner = example.learner(example.policy())
        assert unfit(learner) is None
        engine = FastEngine(learner, compiled)
        rows = np.random.default_rng(example.seed).permutation(example.size)[: example.settings.batch_size]
        transitions = engine._transitions(example.rollout().by_environment())
        engine._arithmetic.gradient(transitions, rows, example.sizes)
        found = engine._layout.get(engine._parameters.gradient)
        exact = gradient(example, torch.float64, rows)
        largest = max(float(np.abs(array).max()) for array in exact.values())
        # Some gradients hang on the last bits of the weights, as those of gSDE with one small latent.
        noise = _gap(gradient(example, torch.float64, rows, moved=2.0**-23), exact)
        noise = max(noise, _gap(gradient(example, torch.float32, rows), exact))
        assert _gap(found, exact) <= max(1e-6 * largest, 8 * noise)

    on_examples(count, check)


@ENGINES
@COUNTS
def test_a_whole_update(compiled: bool, count: str) -> None:
    def check(example: Example) -> None:
        np.random.seed(example.seed)
        orders = [np.random.permutation(example.size) for _ in range(example.settings.n_epochs)]
        float32, float64 = (updated(example, dtype, orders) for dtype in (torch.float32, torch.float64))
        assume(np.isfinite(_gap(float32, float64)))  # some diverge in torch
        engine = FastEngine(example.learner(example.policy()), compiled)
        np.random.seed(example.seed)
        engine.update(example.rollout(), example.sizes)
        assert _gap(engine.tensors(), float32) <= 8 * max(_gap(float32, float64), 1e-7)

    on_examples(count, check)


def gradient(example: Example, dtype: torch.dtype, rows: Any, moved: float = 0) -> dict[str, Any]:
    """What autograd gives in a precision, with weights that are relatively so far off."""
    policy = example.policy().to(dtype)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1 + moved * torch.sign(torch.randn_like(parameter)))
    loss_of(example, policy, example.rollout(), rows, dtype).backward()
    parameters = policy.named_parameters()
    return {name: np.zeros(p.shape) if p.grad is None else p.grad.numpy() for name, p in parameters}


def _gap(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)


@ENGINES
@pytest.mark.parametrize("acted", [box(2), choices(3, 2)], ids=["Gaussian", "choices"])
def test_more_rows_than_a_minibatch_has(compiled: bool, acted: Any) -> None:
    """Kernels have room for so many rows at once; a thousand environments are more."""
    spec = PolicySpec("ppo", box(3), acted, NetArch((16,), (16,)))
    example = Example(spec, replace(Hyperparameters(), batch_size=2), 3, 0, None)
    policy = example.policy()
    engine = FastEngine(example.learner(policy), compiled)
    seen = {"": np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)}
    np.random.seed(0)
    decision = engine.act(seen, None)
    batch = {"observation.state": torch.from_numpy(seen[""])}
    with torch.no_grad():
        values, log_prob, _ = policy.evaluate_actions(batch, torch.from_numpy(decision.actions))
    assert np.allclose(decision.values, values.numpy(), atol=1e-5)
    assert np.allclose(decision.log_probs, log_prob.numpy(), atol=1e-5)
    assert np.array_equal(engine.values(seen), decision.values)
