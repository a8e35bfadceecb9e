"""Which engine a run takes, what it says of it, and that a run keeps it."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from sb3port.checkpoint.checkpoint import NetArch, PolicySpec
from sb3port.checkpoint.spaces import Box
from sb3port.errors import UsageError
from sb3port.networks.actor_critic import ActorCritic
from sb3port.ppo.engines import choosing
from sb3port.ppo.engines.base import Learner
from sb3port.ppo.engines.choosing import Choice, Work, choose_engine
from sb3port.ppo.engines.optimisers import new_optimizer
from sb3port.ppo.hyperparameters import Hyperparameters

from .cases import CASES
from .fast_cases import box
from .sb3 import begin_ours

LONG, SHORT = Work(10**6, 4), Work(2_000, 4)


def learner(optimizer: str = "Adam", **fields: Any) -> Learner:
    spec = replace(PolicySpec("ppo", box(3), box(1), NetArch((64, 64), (64, 64))), **fields)
    policy = ActorCritic(spec)
    cpu = torch.device("cpu")
    return Learner(spec, policy, Hyperparameters(), optimizer, new_optimizer(policy, optimizer, {}), cpu)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say what there is on a machine."""

    def told(installed: bool = True, kept: bool = True) -> None:
        monkeypatch.setattr(choosing, "is_installed", lambda: installed)
        monkeypatch.setattr(choosing, "is_kept", lambda: kept)

    return told


def test_auto_takes_the_fastest(machine: Any) -> None:
    machine()
    assert choose_engine("auto", learner(), LONG) == Choice("fast-numba", "fast, in Numba")
    machine(installed=False)
    without = choose_engine("auto", learner(), LONG)
    assert without.name == "fast-numpy"
    assert without.reason.startswith("fast, in NumPy; Numba would be faster: ")
    assert "install" in without.reason
    assert "[fast]" in without.reason


def test_auto_compiles_for_long_runs_alone(machine: Any) -> None:
    machine(kept=False)
    assert choose_engine("auto", learner(), LONG).name == "fast-numba"
    short = choose_engine("auto", learner(), SHORT)
    assert short.name == "fast-numpy"
    assert "compiling for Numba would take longer than this run" in short.reason
    machine(kept=True)
    assert choose_engine("auto", learner(), SHORT).name == "fast-numba"


@pytest.mark.parametrize(("width", "installed", "name"), [
    (256, True, "fast-numba"),
    (512, True, "exact"),
    (256, False, "fast-numpy"),
    (512, False, "exact"),
])  # fmt: skip
def test_auto_leaves_wide_layers_to_exact(machine: Any, width: int, installed: bool, name: str) -> None:
    machine(installed=installed)
    found = choose_engine("auto", learner(net_arch=NetArch((width,), (32,))), LONG)
    assert found.name == name
    if name == "exact":
        where = "Numba" if installed else "NumPy"
        assert found.reason == f"exact, because layers of {width} are no faster in {where}"


IMAGE = Box((3, 36, 36), "uint8", *(torch.full((3, 36, 36), v, dtype=torch.uint8).numpy() for v in (0, 255)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"observation_space": IMAGE, "features_extractor": "NatureCNN"}, "sees by NatureCNN"),
        ({"activation_fn": "Softmax(dim=-1)"}, "has the activation Softmax(dim=-1)"),
        ({"optimizer": "SGD"}, "is trained by SGD with other settings than SB3's"),
    ],
)
def test_what_fast_does_not_take(machine: Any, fields: dict[str, Any], reason: str) -> None:
    machine()
    other = learner(**fields)
    assert choose_engine("auto", other, LONG) == Choice(
        "exact", f"exact, because the policy {reason}, which fast does not take"
    )
    with pytest.raises(UsageError) as refused:
        choose_engine("fast", other, LONG)
    assert refused.value.message == f"--engine fast does not take this policy: it {reason}"


def test_numpy_has_the_activations_that_numba_has_not(machine: Any) -> None:
    machine()
    mish = learner(activation_fn="Mish")
    assert choose_engine("fast", mish, LONG).name == "fast-numpy"
    with pytest.raises(UsageError, match="has the activation Mish"):
        choose_engine("fast-numba", mish, LONG)


def test_exact_says_what_fast_would_save(machine: Any) -> None:
    machine()
    said = choose_engine("exact", learner(), LONG)
    assert said.name == "exact"
    assert said.reason == "exact has SB3's bits; --engine fast would save about 2 min of processor time"
    assert choose_engine("exact", learner(), SHORT) == Choice("exact")
    assert choose_engine("exact-autograd", learner(), LONG) == Choice("exact-autograd")


def test_a_run_keeps_the_engine_that_it_took() -> None:
    trainer = begin_ours(replace(CASES["CartPole"], engine="fast"))
    assert trainer.settings.engine in ("fast-numpy", "fast-numba")
