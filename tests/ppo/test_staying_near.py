"""The divergence from a reference is what torch and chance say it is, and a training stays near by it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.checkpoint.spaces import Discrete, MultiBinary
from sb3port.commands.policies import find_policy
from sb3port.commands.train import begin_finetuning
from sb3port.commands.training_arguments import RunOptions
from sb3port.errors import UsageError
from sb3port.networks.actor_critic import ActorCritic
from sb3port.ppo.engines.exact_autograd import AutogradEngine
from sb3port.ppo.runs.recipes import Recipe
from sb3port.ppo.runs.trainer import Trainer
from tests.ports import port_of

from .fast_cases import box, choices

ARCH = NetArch((16,), (16,))
SPECS = {
    "Gaussian": PolicySpec("ppo", box(3), box(2), ARCH),
    "gSDE": PolicySpec("ppo", box(3), box(2), ARCH, use_sde=True),
    "gSDE squashed": PolicySpec(
        "ppo", box(3), box(2), ARCH, use_sde=True, squash_output=True, log_std_init=-3.0
    ),
    "categorical": PolicySpec("ppo", box(3), Discrete(4, 0), ARCH),
    "multi-categorical": PolicySpec("ppo", box(3), choices(3, 4), ARCH),
    "Bernoulli": PolicySpec("ppo", box(3), MultiBinary((5,)), ARCH),
    "masked": PolicySpec("ppo_mask", box(3), Discrete(4, 0), ARCH, maskable=True),
    "masked bits": PolicySpec("ppo_mask", box(3), MultiBinary((3,)), ARCH, maskable=True),
}
COUNT = 40_000


def pair(spec: PolicySpec) -> tuple[ActorCritic, ActorCritic]:
    torch.manual_seed(1)
    policies = ActorCritic(spec), ActorCritic(spec)
    with torch.no_grad():
        for policy in policies:
            policy.action_net.weight.add_(0.3 * torch.randn_like(policy.action_net.weight))
            if policy.log_std is not None:
                policy.log_std.add_(0.1 * torch.randn_like(policy.log_std))
    return policies


@pytest.mark.parametrize("name", SPECS)
def test_divergence_is_the_mean_of_what_log_probabilities_differ_by(name: str) -> None:
    spec = SPECS[name]
    one, other = pair(spec)
    batch = {"observation.state": torch.tensor([[0.5, -1.0, 0.3]]).expand(COUNT, 3)}
    if spec.maskable:
        allowed = {4: [True, False, True, True], 6: [True, True, True, False, True, True]}
        batch["observation.action_mask"] = torch.tensor([allowed[one.head.n_outputs]]).expand(COUNT, -1)
    if spec.use_sde:
        one.reset_noise(COUNT)
    with torch.no_grad():
        found, reference = one.distribution(batch), other.distribution(batch)
        actions = found.sample()
        apart = found.log_prob(actions) - reference.log_prob(actions)
        divergence = found.divergence(reference)
    assert float(divergence[0]) > 0.005
    assert float(divergence.std()) < 1e-5
    error = float(apart.std()) / COUNT**0.5
    assert abs(float(apart.mean()) - float(divergence[0])) < 5 * error
    assert float(found.divergence(found).abs().max()) < 1e-6


def test_it_is_finite_where_probabilities_round_to_0() -> None:
    one, other = pair(SPECS["categorical"])
    with torch.no_grad():
        other.action_net.bias.copy_(torch.tensor([0.0, 300.0, 0.0, 0.0]))
    batch = {"observation.state": torch.zeros(1, 3)}
    found = one.distribution(batch).divergence(other.distribution(batch))
    assert 100 < found.item() < 400
    found.backward()
    assert one.action_net.bias.grad is not None
    assert torch.isfinite(one.action_net.bias.grad).all()
    logits = torch.tensor([[0.1, 0.7, -2.0]])
    ours = one.head.distribution(torch.tensor([[0.3, -1.0, 0.2, 2.0]]), None, logits)
    theirs = one.head.distribution(torch.tensor([[0.0, 1.0, 0.5, -2.0]]), None, logits)
    exact = kl_divergence(*(Categorical(logits=d._choice.logits) for d in (ours, theirs)))  # type: ignore[attr-defined]
    assert torch.allclose(ours.divergence(theirs), exact)


@pytest.fixture(scope="module")
def cartpole_port(tmp_path_factory: pytest.TempPathFactory, cartpole: Path) -> Path:
    port = tmp_path_factory.mktemp("near") / "port"
    port_of(cartpole, port, verify=False)
    return port


def begun(port: Path, kl_coef: float, engine: str = "exact", **given: Any) -> Trainer:
    torch.set_num_threads(1)
    settings = {"learning_rate": 1e-3, "clip_range": 0.2, "n_epochs": 5, **given}
    told = RunOptions(
        None, settings, 1024, run={"eval_episodes": 0, "engine": engine}, recipe=Recipe(kl_coef=kl_coef)
    )
    return begin_finetuning(find_policy(port), told, lambda _: None)[0]


def last_values(trainer: Trainer) -> dict[str, Any]:
    while not trainer.is_over:
        values = trainer.iterate().values
    return dict(values)


def test_a_training_stays_near(cartpole_port: Path) -> None:
    free, near = (last_values(begun(cartpole_port, weight)) for weight in (1e-9, 10.0))
    assert 0 <= near["train/reference_kl"] < 0.2 * free["train/reference_kl"]
    assert "train/reference_kl" not in begun(cartpole_port, 0.0).iterate().values


def test_a_weight_of_nearly_0_changes_nothing(cartpole_port: Path) -> None:
    """The gradient of the divergence is added to SB3's own, and nothing else is different."""
    trainer = begun(cartpole_port, 1e-30)
    assert isinstance(trainer.engine, AutogradEngine)
    assert trainer.engine._reference is not None
    last_values(trainer)
    ours = trainer.engine.tensors()
    trainer = begun(cartpole_port, 0.0)
    last_values(trainer)
    theirs = trainer.engine.tensors()
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []


def test_fast_says_that_it_cannot(cartpole_port: Path) -> None:
    with pytest.raises(UsageError, match="it is kept near the policy that it began as"):
        begun(cartpole_port, 0.1, "fast")
    trainer = begun(cartpole_port, 0.1, "auto")
    assert trainer.settings.engine == "exact"
    assert "kept near the policy that it began as, which fast does not take" in trainer.why_engine


def test_recipes_are_refused_in_a_sentence(cartpole_port: Path, tmp_path: Path) -> None:
    options = RunOptions(steps=64, run={"eval_episodes": 0})
    for recipe, text in (
        (Recipe(kl_coef=-1.0), "kl_coef is -1.0, but it must be 0 or more"),
        (Recipe(kl_coef=float("nan")), "kl_coef is nan"),
        (Recipe(critic_warmup=-5), "critic_warmup is -5"),
        (Recipe(bc_epochs=3), "there are none"),
        (Recipe(demonstrations=tmp_path / "no.npz"), "is not there to be cloned"),
    ):
        with pytest.raises(UsageError, match=text):
            begin_finetuning(find_policy(cartpole_port), replace(options, recipe=recipe), lambda _: None)
