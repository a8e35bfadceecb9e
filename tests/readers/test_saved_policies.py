"""Policies that `policy.save` wrote without their model, and what else torch may have saved."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.policies import ActorCriticPolicy

from sb3port.errors import NotPortable, Unsafe
from tests.ports import port_of, verified
from tests.security.hostile import pack, unpack

from .making import BOX, Still, read

DISCRETE = spaces.Discrete(3)


def policy(algorithm: type[Any] = PPO, name: str = "MlpPolicy", action: Any = BOX, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    small = {"net_arch": [4], "activation_fn": torch.nn.ELU}
    return algorithm(name, Still(BOX, action), device="cpu", policy_kwargs=small, **kwargs).policy


@pytest.mark.parametrize(
    ("algorithm", "name", "action", "key"),
    [
        (PPO, "MlpPolicy", BOX, "ppo"),
        (A2C, "MlpPolicy", DISCRETE, "ppo"),
        (MaskablePPO, "MlpPolicy", spaces.MultiBinary(2), "ppo_mask"),
        (RecurrentPPO, "MlpLstmPolicy", DISCRETE, "ppo_lstm"),
    ],
)
def test_it_is_read_as_what_its_layers_are(
    algorithm: type[Any], name: str, action: spaces.Space[Any], key: str, tmp_path: Path
) -> None:
    saved = policy(algorithm, name, action)
    saved.save(tmp_path / "policy.zip")
    checkpoint = read(tmp_path / "policy.zip")
    assert (checkpoint.spec.algorithm, checkpoint.spec.activation_fn) == (key, "ELU")
    assert list(checkpoint.tensors) == [name for name, _ in saved.named_parameters()]
    assert all((checkpoint.tensors[n] == p.detach().numpy()).all() for n, p in saved.named_parameters())
    assert "it is taken for PPO" in checkpoint.warnings[0]
    assert checkpoint.optimizer is None
    assert not checkpoint.training.schedules


@pytest.mark.long
def test_the_port_computes_what_sb3_s_class_does(tmp_path: Path) -> None:
    policy(use_sde=True).save(tmp_path / "policy.zip")
    done = port_of(tmp_path / "policy.zip", tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    assert verified(tmp_path / "port").verdict == "bit-exact"
    assert ActorCriticPolicy.load(tmp_path / "policy.zip", device="cpu").use_sde


def test_a_folder_with_one(tmp_path: Path) -> None:
    (tmp_path / "bc").mkdir()
    policy().save(tmp_path / "bc" / "policy.zip")
    assert read(tmp_path / "bc").provenance.files["checkpoint"].name == "policy.zip"


def test_the_format_of_old_torch(tmp_path: Path) -> None:
    saved = policy()
    content = {"state_dict": saved.state_dict(), "data": saved._get_constructor_parameters()}
    torch.save(content, tmp_path / "policy.pt", _use_new_zipfile_serialization=False)
    checkpoint = read(tmp_path / "policy.pt")
    assert (checkpoint.tensors["log_std"] == saved.log_std.detach().numpy()).all()


def test_tensors_alone_say_what_to_do(tmp_path: Path) -> None:
    torch.save(policy().state_dict(), tmp_path / "policy.pth")
    with pytest.raises(NotPortable, match=r"policy\.pth holds tensors alone") as caught:
        read(tmp_path / "policy.pth")
    assert 'model.save("model.zip")' in str(caught.value.hint)


def test_a_whole_object_says_what_to_do(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "policy.pt")
    with pytest.raises(NotPortable, match=r"holds a whole torch\.nn\.modules\.linear\.Linear") as caught:
        read(tmp_path / "policy.pt")
    assert 'policy.save("policy.zip")' in str(caught.value.hint)


def test_a_policy_of_another_algorithm_is_named(tmp_path: Path) -> None:
    policy(SAC, learning_starts=0).save(tmp_path / "policy.zip")
    with pytest.raises(NotPortable, match="off-policy algorithm"):
        read(tmp_path / "policy.zip")


def test_a_hostile_one_is_unsafe(tmp_path: Path) -> None:
    policy().save(tmp_path / "policy.zip")
    members = unpack(tmp_path / "policy.zip")
    name = next(name for name in members if name.endswith("/data.pkl"))
    hostile = members[name].replace(b"ctorch.optim.adam\nAdam\n", b"cos\nsystem\n")
    (tmp_path / "hostile.zip").write_bytes(pack(members | {name: hostile}))
    with pytest.raises(Unsafe, match=r"os\.system"):
        read(tmp_path / "hostile.zip")
