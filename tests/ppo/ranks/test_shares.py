"""What each of several ranks computes from its share, held against one process with all of it."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from sb3port.checkpoint.checkpoint import Normalizer
from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.errors import UsageError
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.weights import load_tensors, policy_tensors
from sb3port.ppo.engines.base import Engine, Learner, StepSizes, UpdateStatistics
from sb3port.ppo.engines.frozen import of_actor
from sb3port.ppo.engines.optimisers import new_optimizer
from sb3port.ppo.engines.table import make_engine
from sb3port.ppo.engines.together import normalised
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.ranks.joining import join, speaks, told
from sb3port.ppo.rollout.buffer import Rollout
from sb3port.ppo.rollout.normalisation import RunningNormaliser
from sb3port.ppo.runs.several import check_shares, explained_variance, means_of_all, own_seed
from sb3port.ppo.runs.trainer import Trainer
from tests.ppo.ranks.meeting import Threads, in_threads

N_STEPS, N_ENVS = 24, 4
SIZES = StepSizes(1e-3, 0.2, 0.3)
SETTINGS = {"n_steps": N_STEPS, "batch_size": N_STEPS * N_ENVS, "n_epochs": 1}
LOOSE = {"max_grad_norm": 1e9, "ent_coef": 0.01, "target_kl": 100.0}


@dataclass(frozen=True)
class Case:
    env: str
    algorithm: str = "ppo"
    kwargs: str = "dict(net_arch=[16])"
    settings: Any = None


CASES = {
    "Gaussian": Case("Pendulum-v1"),
    "gSDE": Case("Pendulum-v1", settings={"use_sde": True}),
    "categorical": Case("CartPole-v1"),
    "recurrent": Case("CartPole-v1", "ppo_lstm", "dict(net_arch=[8], lstm_hidden_size=8)"),
}
ENGINES = ("exact", "exact-autograd", "fast-numpy", "fast-numba")


def trainer(case: Case, **settings: object) -> Trainer:
    options = RunOptions(
        case.env,
        {**SETTINGS, **(case.settings or {}), **settings},
        200,
        N_ENVS,
        run={"eval_episodes": 0, "seed": 1, "engine": "exact-autograd"},
    )
    return begin_training(options, PolicyOptions(case.algorithm, policy_kwargs=case.kwargs), lambda _: None)


def part(rollout: Rollout, ranks: Ranks) -> Rollout:
    """Give the share of one rank: its environments."""

    def share(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            return {key: share(array) for key, array in value.items()}
        return ranks.part(value.swapaxes(0, 1)).swapaxes(0, 1).copy()

    return Rollout(**{name: share(value) for name, value in vars(rollout).items()})


def a_policy(whole: Trainer, moved: float = 0.1) -> ActorCritic:
    """Give the policy of the rollout, moved at random."""
    policy = ActorCritic(whole.spec)
    load_tensors(policy, whole.engine.tensors())
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(moved * torch.randn_like(parameter))
    return policy


def an_engine(
    name: str, whole: Trainer, policy: ActorCritic, ranks: Ranks, reference: ActorCritic | None = None
) -> Engine:
    own, settings = deepcopy(policy), whole.settings.hyperparameters
    state = new_optimizer(own, "Adam", {})
    learner = Learner(whole.spec, own, settings, "Adam", state, torch.device("cpu"), ranks)
    return make_engine(name, replace(learner, reference=deepcopy(reference), kl_coef=0.1))


def gradients(engine: Engine) -> list[np.ndarray]:
    """Adam's first mean is a tenth of the gradient."""
    return [np.asarray(row["exp_avg"]) * 10 for row in engine.optimizer().state.values()]


@pytest.mark.parametrize(
    ("engine", "case"),
    [(e, c) for e in ENGINES for c in CASES if c != "recurrent" or e in ("exact-autograd", "fast-numpy")],
)
def test_gradient_of_shares_is_that_of_the_whole(
    engine: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "fast-numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(np.random, "randint", lambda _: 0)  # sequences are cut where environments begin
    whole = trainer(CASES[case], **LOOSE)
    rollout, policy = whole.collector.collect(), a_policy(whole)
    one = an_engine(engine, whole, policy, ALONE)
    alone = one.update(rollout, SIZES)

    def learn(ranks: Threads) -> tuple[Engine, UpdateStatistics]:
        own = an_engine(engine, whole, policy, ranks)
        return own, means_of_all(own.update(part(rollout, ranks), SIZES), ranks)

    (first, found), (second, _) = in_threads(2, learn)
    expected = gradients(one)
    largest = max(np.abs(gradient).max() for gradient in expected)
    assert largest > 1e-3
    for ours, theirs in zip(gradients(first), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * largest)
    assert alone.reference_kl is found.reference_kl is None
    for name in set(vars(alone)) - {"reference_kl"}:
        assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-4, abs=1e-6), name
    for name, tensor in first.tensors().items():
        np.testing.assert_array_equal(tensor, second.tensors()[name])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_frozen_actor_and_a_reference_are_those_of_all(engine: str) -> None:
    if engine == "fast-numba":
        pytest.importorskip("numba")
    whole, sizes = trainer(CASES["gSDE"], **LOOSE), replace(SIZES, actor_frozen=True)
    rollout, policy = whole.collector.collect(), a_policy(whole)
    reference = a_policy(whole) if engine == "exact-autograd" else None
    alone = an_engine(engine, whole, policy, ALONE, reference).update(rollout, sizes).reference_kl

    def learn(ranks: Threads) -> tuple[Engine, UpdateStatistics]:
        own = an_engine(engine, whole, policy, ranks, reference)
        return own, means_of_all(own.update(part(rollout, ranks), sizes), ranks)

    (first, found), (second, _) = in_threads(2, learn)
    assert found.reference_kl == (None if alone is None else pytest.approx(alone, rel=1e-4))
    before, after = policy_tensors(policy), first.tensors()
    stayed = {name for name, array in after.items() if np.array_equal(array, before[name])}
    assert stayed == set(of_actor(before))
    for name, tensor in after.items():
        np.testing.assert_array_equal(tensor, second.tensors()[name])


def test_each_minibatch_is_one_message() -> None:
    """And an epoch one more, for its advantages."""
    whole = trainer(CASES["Gaussian"], batch_size=32, n_epochs=2)
    rollout, policy = whole.collector.collect(), a_policy(whole)

    def learn(ranks: Threads) -> int:
        an_engine("fast-numpy", whole, policy, ranks).update(part(rollout, ranks), SIZES)
        return ranks.messages

    assert in_threads(2, learn) == [2 * (1 + N_STEPS * N_ENVS // 32)] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_all_stop_early_where_the_mean_has_diverged(engine: str) -> None:
    if engine == "fast-numba":
        pytest.importorskip("numba")
    whole = trainer(CASES["Gaussian"], batch_size=32, n_epochs=10, target_kl=1e-3)
    rollout, policy = whole.collector.collect(), a_policy(whole, 0.0)

    def learn(ranks: Threads) -> Engine:
        own = an_engine(engine, whole, policy, ranks)
        own.update(part(rollout, ranks), StepSizes(1e-2, 0.2))
        return own

    first, second = in_threads(2, learn)
    steps = [int(next(iter(one.optimizer().state.values()))["step"]) for one in (first, second)]
    assert 0 < steps[0] < 30
    assert steps[0] == steps[1]
    for name, tensor in first.tensors().items():
        np.testing.assert_array_equal(tensor, second.tensors()[name])


def test_advantages_are_normalised_over_all_ranks() -> None:
    """Minibatches are of 4 from each of 3 ranks; the last one has 2 of each."""
    given = np.random.default_rng(0).normal(3, 2, (3, 10)).astype(np.float32)
    whole = trainer(CASES["Gaussian"], batch_size=12)
    policy = a_policy(whole)
    orders = [np.random.default_rng(rank).permutation(10) for rank in range(3)]

    def scale(ranks: Threads) -> Any:
        settings = whole.settings.hyperparameters
        learner = Learner(whole.spec, policy, settings, "Adam", None, torch.device("cpu"), ranks)  # type: ignore[arg-type]
        return normalised(given[ranks.rank], orders[ranks.rank], learner)

    found = in_threads(3, scale)
    for begin in (0, 4, 8):
        chosen = [order[begin : begin + 4] for order in orders]
        before = np.concatenate([rows[own] for rows, own in zip(given, chosen, strict=True)]).astype(float)
        after = np.concatenate([rows[own] for rows, own in zip(found, chosen, strict=True)])
        expected = (before - before.mean()) / (before.std(ddof=1) + 1e-8)
        np.testing.assert_allclose(after, expected, rtol=1e-6, atol=1e-7)


def test_statistics_are_those_of_one_process_to_the_bit() -> None:
    draw = np.random.default_rng(1)
    seen, rewards = draw.normal(5, 3, (20, 4, 3)).astype(np.float32), draw.normal(size=(20, 4))

    def normalise(ranks: Threads) -> tuple[Any, Normalizer, int]:
        own = RunningNormaliser(Normalizer(None, None), {"": (3,)}, 4 // ranks.size, ranks=ranks)
        part = slice(ranks.rank * own.returns.size, (ranks.rank + 1) * own.returns.size)
        given = [own.begin({"": seen[0, part]})[""]]
        for rows, numbers in zip(seen[1:], rewards[1:], strict=True):
            own.meet({"": rows[part]}, numbers[part])
            given += [own.observe({"": rows[part]}, [0])[""], own.scale(numbers[part], [0])[:, None]]
        return given, own.normalizer(), ranks.messages

    # An episode ends in the first environment of each rank: the returns of one process are those.
    parts, statistics, messages = zip(*in_threads(2, normalise), strict=True)
    assert vars(statistics[0].obs_rms)["count"] == vars(statistics[1].obs_rms)["count"]
    alone = RunningNormaliser(Normalizer(None, None), {"": (3,)}, 4)
    expected = [alone.begin({"": seen[0]})[""]]
    for rows, numbers in zip(seen[1:], rewards[1:], strict=True):
        expected += [alone.observe({"": rows}, [0, 2])[""], alone.scale(numbers, [0, 2])[:, None]]
    for *halves, whole in zip(*parts, expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(halves), whole)
    assert messages == (20, 20)
    for one in statistics:
        for name in ("obs_rms", "ret_rms"):
            for ours, theirs in zip(
                vars(getattr(one, name)).values(),
                vars(getattr(alone.normalizer(), name)).values(),
                strict=True,
            ):
                np.testing.assert_array_equal(ours, theirs)


def test_explained_variance_is_that_of_all() -> None:
    rollout = trainer(CASES["Gaussian"]).collector.collect()
    expected = explained_variance(rollout, ALONE)
    found = in_threads(2, lambda ranks: explained_variance(part(rollout, ranks), ranks))
    assert found == pytest.approx([expected] * 2, rel=1e-5)


def test_environments_have_the_seeds_of_one_process() -> None:
    ranks = [Threads(rank, 3, None) for rank in range(3)]  # type: ignore[arg-type]
    assert [own_seed(7, one, 2) for one in ranks] == [7, 9, 11]
    assert own_seed(None, ranks[1], 2) is None


@pytest.mark.parametrize(
    ("n_envs", "batch_size", "said", "hint"),
    [(4, 64, "n_envs is 4", "--n-envs 3,"), (6, 64, "batch_size is 64", "--batch-size 63,")],
)
def test_what_does_not_divide(n_envs: int, batch_size: int, said: str, hint: str) -> None:
    run = trainer(CASES["Gaussian"]).settings
    run = replace(run, n_envs=n_envs, hyperparameters=replace(run.hyperparameters, batch_size=batch_size))
    check_shares(run, ALONE)
    with pytest.raises(UsageError, match=f"{said}, .* does not divide among 3") as refused:
        check_shares(run, Threads(0, 3, None))  # type: ignore[arg-type]
    assert hint in str(refused.value.hint)


VARIABLES = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


def test_what_torchrun_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert (told(), join(), speaks()) == ((0, 1), ALONE, True)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert (told(), speaks()) == ((1, 2), False)
    monkeypatch.delenv("MASTER_PORT")
    assert told() == (0, 1)


@pytest.mark.parametrize("variables", [{"RANK": "2"}, {"RANK": "-1"}, {"WORLD_SIZE": "two"}, {"RANK": ""}])
def test_what_torchrun_would_not_tell(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**VARIABLES, **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="number no process"):
        join()
