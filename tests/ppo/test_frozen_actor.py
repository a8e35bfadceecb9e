"""While the actor is frozen the critic learns as it would beside it, in every engine, and all else stays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sb3port.ppo.engines.frozen import of_actor, shared
from sb3port.ppo.runs.recipes import warmup_in_words

from .cases import CASES, LSTM, SMALL
from .sb3 import Case, begin_ours, build_sb3, run

GSDE = Case(
    "Pendulum-v1", 512, 2, normalise={}, settings={**SMALL, "use_sde": True, "learning_rate": "lin_0.001"}
)
RECURRENT = Case("CartPole-v1", 200, 2, "ppo_lstm", policy_kwargs=LSTM, settings=SMALL)
RUNS = {
    "exact": GSDE,
    "exact-autograd": GSDE,
    "fast-numpy": GSDE,
    "fast-numba": GSDE,
    "fast-numpy, recurrent": replace(RECURRENT, steps=512),
    "exact, recurrent": replace(RECURRENT, steps=512),
    "exact, image": replace(CASES["image"], steps=384),
    "exact, image, apart": replace(CASES["image, apart"], steps=384),
    "fast-numba, maskable": replace(CASES["maskable"], steps=600),
}


def weights_after(trainer: Any) -> dict[str, Any]:
    trainer.iterate()
    tensors: dict[str, Any] = trainer.engine.tensors()
    return tensors


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.thorough) if "exact, " in n else n for n in RUNS]
)
def test_the_actor_stays_and_then_moves(name: str) -> None:
    torch.set_num_threads(1)
    trainer = begin_ours(replace(RUNS[name], engine=name.partition(",")[0]))
    rollout = trainer.settings.hyperparameters.n_steps * trainer.settings.n_envs
    trainer.settings = replace(trainer.settings, actor_from=rollout + 1)
    before = trainer.engine.tensors()
    frozen = set(of_actor(before))
    assert 0 < len(frozen) < len(before)
    for _ in range(2):  # the second rollout began before the warm-up was over
        after = weights_after(trainer)
        assert {n for n in before if np.array_equal(before[n], after[n])} == frozen
    steps = {float(np.asarray(row["step"])) for row in trainer.engine.optimizer().state.values()}
    assert len(steps) == 1  # so that every engine can go on from it
    later = weights_after(trainer)
    assert not [n for n in before if np.array_equal(after[n], later[n])]


@pytest.mark.parametrize("engine", ["exact", "exact-autograd"])
def test_it_is_what_sb3_does_with_a_learning_rate_of_0(engine: str) -> None:
    """As a parameter group of torch's Adam, in which the actor is."""
    torch.set_num_threads(1)
    rollout = 64 * 2
    trainer = begin_ours(replace(GSDE, engine=engine, steps=4 * rollout))
    trainer.settings = replace(trainer.settings, actor_from=2 * rollout)
    ours = run(trainer).engine.tensors()
    model = build_sb3(replace(GSDE, steps=4 * rollout))
    named = dict(model.policy.named_parameters())
    actor = of_actor(named)
    groups = [
        {"params": [p for n, p in named.items() if (n in actor) == is_actor]} for is_actor in (True, False)
    ]
    optimizer = model.policy.optimizer = torch.optim.Adam(groups, eps=1e-5)

    def set_rates(*_: Any) -> None:
        rate = model.lr_schedule(model._current_progress_remaining)
        optimizer.param_groups[0]["lr"] = rate if model.num_timesteps > 2 * rollout else 0.0
        optimizer.param_groups[1]["lr"] = rate

    model._update_learning_rate = set_rates  # type: ignore[method-assign]
    model.learn(4 * rollout)
    theirs = {name: tensor.numpy() for name, tensor in model.policy.state_dict().items()}
    assert [name for name, array in ours.items() if not np.array_equal(array, theirs[name])] == []


def test_what_is_frozen_is_said() -> None:
    mlp = begin_ours(GSDE).engine.tensors()
    assert warmup_in_words(4096, mlp) == "the critic alone learns for 4,096 steps"
    image = begin_ours(CASES["image"]).engine.tensors()
    said = warmup_in_words(64, image)
    assert said.endswith("64 steps; features_extractor, which it shares with the actor, is frozen, too")
    assert shared(begin_ours(CASES["image, apart"]).engine.tensors()) == ()
    assert shared(begin_ours(CASES["recurrent, shared"]).engine.tensors()) == ("lstm_actor",)
    assert shared(begin_ours(CASES["recurrent, critic without"]).engine.tensors()) == ()
    assert shared(("mlp_extractor.shared_net.0.weight", "value_net.bias")) == ("mlp_extractor.shared_net",)
