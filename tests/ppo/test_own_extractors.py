"""Fine-tuning policies whose features extractors are not SB3's."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

import sb3port
from sb3port.checkpoint.checkpoint import (
    Checkpoint,
    NetArch,
    OptimizerState,
    PolicySpec,
    Provenance,
    SourceFile,
    TrainingSettings,
)
from sb3port.checkpoint.spaces import Box
from sb3port.errors import NotPortable
from sb3port.exports.sb3 import build_model
from sb3port.exports.sb3_form import sb3_form
from sb3port.networks import own_extractors as own
from sb3port.networks.actor_critic import ActorCritic
from sb3port.networks.weights import policy_tensors
from sb3port.ports.reading import read_port
from sb3port.ports.writing import write_port
from sb3port.ppo.runs.checkpoints import save_checkpoint
from sb3port.ppo.runs.starting import optimizer_of
from tests import own_extractors
from tests.conftest import REPOSITORY
from tests.readers.making import Still

from .cases import SMALL
from .sb3 import Case, assert_same, finetune, finetune_sb3, save_sb3, train_sb3

BUFFERS = "tests.own_extractors:Buffers"
WAVES = "tests.own_extractors:Waves1"
IMITATION = REPOSITORY / "fixtures/eras/2.2.1/ppo-imitation"
gymnasium.register(
    "imitated/Still-v0",
    Still,
    disable_env_checker=True,
    kwargs={
        "observation_space": spaces.Box(-np.inf, np.inf, (4,)),
        "action_space": spaces.Box(np.float32([-0.5, -0.75]), np.float32([0.25, 0.375])),
    },
)


def test_code_of_ones_own_learns_as_with_sb3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_registered", {})
    monkeypatch.setenv(own.VARIABLE, "")
    kwargs = {
        "features_extractor_class": own_extractors.Waves1,
        "features_extractor_kwargs": {"features_dim": 6},
        "net_arch": [8],
    }
    case = Case("Pendulum-v1", 128, settings=SMALL, policy_kwargs=kwargs)
    source = save_sb3(train_sb3(case), tmp_path / "model")
    trainer, warnings = finetune(case, source, tmp_path / "port", WAVES)
    assert warnings == []
    assert_same(trainer, finetune_sb3(case, source))


@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("name", ["Buffers", "Frozen"])
def test_what_is_no_parameter_that_learns(
    name: str, shares: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buffers, frozen and tied parameters, modes: training goes on as SB3's own, and back to SB3."""
    monkeypatch.setattr(own, "_registered", {})
    monkeypatch.setenv(own.VARIABLE, "")
    cls = getattr(own_extractors, name)
    kwargs = {"features_extractor_class": cls, "share_features_extractor": shares, "net_arch": [8]}
    case = Case("Pendulum-v1", 128, settings=SMALL, policy_kwargs=kwargs)
    source = save_sb3(train_sb3(case), tmp_path / "model")
    trainer, warnings = finetune(case, source, tmp_path / "port", f"tests.own_extractors:{name}")
    model = finetune_sb3(case, source)
    assert warnings == []
    assert_same(trainer, model)
    save_checkpoint(trainer, read_port(tmp_path / "port"), tmp_path / "run")
    back = sb3port.export(tmp_path / "run/checkpoints/last/pretrained_model", tmp_path / "back", verify=False)
    (path,) = back.folder.glob("*.zip")
    optimizers = (PPO.load(path, device="cpu").policy.optimizer, model.policy.optimizer)
    again, theirs = (optimizer.state_dict()["state"] for optimizer in optimizers)
    assert again.keys() == theirs.keys()
    for number, row in theirs.items():
        assert all(torch.equal(again[number][key], value) for key, value in row.items())


def carried(policy: ActorCritic) -> OptimizerState:
    """A state in which every parameter has numbers of its own."""
    rows = {
        number: {"step": np.float32(1), "exp_avg": np.full(parameter.shape, number, np.float32)}
        for number, parameter in enumerate(policy.parameters())
    }
    return OptimizerState({"lr": 1e-3}, rows, len(rows))


def own_policy(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[ActorCritic, Checkpoint]:
    monkeypatch.setattr(own, "_registered", {})
    own.register_extractor(BUFFERS, own_extractors.Buffers)
    bounds = np.full(3, np.inf, np.float32)
    seen, act = Box((3,), "float32", -bounds, bounds), Box((3,), "float32", -bounds, bounds)
    policy = ActorCritic(PolicySpec("ppo", seen, act, features_extractor=BUFFERS, **changes))
    source = Provenance("file", "model.zip", None, {"checkpoint": SourceFile("model.zip", 1, "0" * 64)})
    settings = TrainingSettings({}, {}, "Adam")
    return policy, Checkpoint(policy.spec, policy_tensors(policy), None, settings, carried(policy), source)


def test_ports_that_counted_buffers_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version had trained counts every tensor as a parameter."""
    policy, checkpoint = own_policy(monkeypatch, net_arch=NetArch((8,), (8,)))
    names, expected = list(checkpoint.tensors), checkpoint.optimizer
    parameters = [name for name, _ in policy.named_parameters()]
    assert expected is not None
    rows = {names.index(parameters[number]): row for number, row in expected.state.items()}
    before = OptimizerState(expected.group, rows, len(names))
    (tmp_path / "port").mkdir()
    write_port(replace(checkpoint, optimizer=before), tmp_path / "port")
    found = optimizer_of(read_port(tmp_path / "port"), policy)
    assert found.count == expected.count
    assert all(np.array_equal(found.state[n]["exp_avg"], row["exp_avg"]) for n, row in expected.state.items())


def test_another_optimiser_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, checkpoint = own_policy(monkeypatch, net_arch=NetArch((8,), (8,)))
    optimizer = carried(policy)
    for wrong in (
        replace(optimizer, count=optimizer.count - 1),
        replace(optimizer, state={1: {"exp_avg": np.zeros(7)}}),
    ):
        with pytest.raises(NotPortable, match="does not fit the parameters"):
            optimizer_of(replace(checkpoint, optimizer=wrong), policy)


def test_layers_that_part_keep_the_state_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """SB3 before 1.8 had layers that actor and critic share, after an extractor of one's own, too."""
    policy, checkpoint = own_policy(monkeypatch, net_arch=NetArch((8,), (4,), (5,)))
    model = build_model(sb3_form(checkpoint))
    before = {name: number for number, (name, _) in enumerate(policy.named_parameters())}
    for name, parameter in model.policy.named_parameters():
        row = model.policy.optimizer.state.get(parameter, {})
        old = re.sub(r"(policy_net|value_net)\.2\.", r"\1.0.", name)
        if re.search(r"(policy_net|value_net)\.0\.", name):
            assert row == {}, name
        else:
            assert (row["exp_avg"] == before[old]).all(), name


def test_running_statistics_go_on_in_updates_only(tmp_path: Path) -> None:
    count = "features_extractor.normalize.count"
    case = Case("imitated/Still-v0", 64, settings=SMALL)
    trainer, _ = finetune(case, IMITATION, tmp_path / "port")
    before, after = read_port(tmp_path / "port").tensors, trainer.engine.tensors()
    settings = trainer.settings.hyperparameters
    assert after[count] == before[count] + 64 * settings.n_epochs
    assert list(after) == list(before)
