"""Zips saved by today's SB3: three algorithms are read, the others are refused by their names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, TRPO, CrossQ
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3, HerReplayBuffer

from sb3port.checkpoint.checkpoint import ReplaySpec
from sb3port.errors import NotPortable
from sb3port.families.algorithms import display_name
from sb3port.families.specs import expected_shapes

from .making import BOX, change, read, save

TWO = spaces.Discrete(2)


@pytest.mark.parametrize(
    ("algorithm", "key", "optimizer"), [(PPO, "ppo", "Adam"), (A2C, "a2c", "RMSprop"), (TRPO, "trpo", "Adam")]
)
@pytest.mark.parametrize("action", [BOX, TWO], ids=["Box", "Discrete"])
def test_supported(algorithm: Any, key: str, optimizer: str, action: Any, tmp_path: Path) -> None:
    path = save(algorithm, tmp_path / "model.zip", action=action, learning_rate=1e-3, gamma=0.9)
    checkpoint = read(path)
    training, model = checkpoint.training, algorithm.load(path, device="cpu")
    assert (checkpoint.spec.algorithm, training.optimizer_class) == (key, optimizer)
    assert (checkpoint.spec.net_arch.pi, checkpoint.spec.net_arch.vf) == ((4,), (4,))
    assert training.hyperparameters["gamma"] == 0.9
    assert training.schedules["learning_rate"](0.5) == 1e-3
    assert list(checkpoint.tensors) == [name for name, _ in model.policy.named_parameters()]
    for name, parameter in model.policy.named_parameters():
        assert torch.equal(torch.from_numpy(checkpoint.tensors[name].copy()), parameter.data)


@pytest.mark.parametrize(
    "policy_kwargs",
    [
        {"net_arch": []},
        {"net_arch": {"pi": [5, 3], "vf": []}, "activation_fn": torch.nn.ReLU},
        {"net_arch": [4], "log_std_init": -1.0, "ortho_init": False, "optimizer_kwargs": {"eps": 1e-7}},
        {"net_arch": [4], "optimizer_class": torch.optim.AdamW, "normalize_images": False},
        {"net_arch": [4], "full_std": False, "use_expln": True, "squash_output": True},
    ],
    ids=str,
)
def test_policy_kwargs(policy_kwargs: dict[str, Any], tmp_path: Path) -> None:
    sde = "full_std" in policy_kwargs
    spec = read(save(PPO, tmp_path / "model.zip", policy_kwargs=dict(policy_kwargs), use_sde=sde)).spec
    assert spec.use_sde is sde
    given = {key: value for key, value in policy_kwargs.items() if hasattr(spec, key) and key != "net_arch"}
    for key, value in given.items():
        assert getattr(spec, key) == (value.__name__ if isinstance(value, type) else value)
        assert key not in spec.assumed
    assert len(expected_shapes(spec)) == len(PPO.load(tmp_path / "model.zip").policy.state_dict())


REPLAYING = {
    "DQN": (DQN, {"action": TWO}),
    "QRDQN": (QRDQN, {"action": TWO}),
    "SAC": (SAC, {"buffer_size": 10}),
    "TD3": (TD3, {"buffer_size": 10}),
    "DDPG": (DDPG, {"buffer_size": 10}),
    "TQC": (TQC, {"buffer_size": 10}),
    "CrossQ": (CrossQ, {"buffer_size": 10}),
    "ARS": (ARS, {}),
}


@pytest.mark.parametrize("name", REPLAYING)
def test_algorithms_of_several_networks_are_told_apart(name: str, tmp_path: Path) -> None:
    algorithm, kwargs = REPLAYING[name]
    checkpoint = read(save(algorithm, tmp_path / "model.zip", **kwargs))
    assert display_name(checkpoint.spec.algorithm) == name
    assert isinstance(checkpoint.spec, ReplaySpec)
    assert len(expected_shapes(checkpoint.spec)) == len(checkpoint.tensors)


def test_hindsight_replay_is_its_algorithms(tmp_path: Path) -> None:
    goals = spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), BOX))
    given = {"n_sampled_goal": 3, "goal_selection_strategy": "final"}
    kwargs = {"buffer_size": 10, "replay_buffer_class": HerReplayBuffer, "replay_buffer_kwargs": given}
    checkpoint = read(save(SAC, tmp_path / "model.zip", "MultiInputPolicy", goals, **kwargs))
    assert checkpoint.spec.algorithm == "sac"
    assert checkpoint.training.replay["replay_buffer_class"].endswith(".HerReplayBuffer")
    assert checkpoint.training.replay["replay_buffer_kwargs"] == given


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, [1, "step"]), ({"train_freq": (2, "episode")}, [2, "episode"]), ({"train_freq": 4}, [4, "step"])],
    ids=str,
)
def test_how_often_it_learns(given: dict[str, Any], expected: list[Any], tmp_path: Path) -> None:
    training = read(save(SAC, tmp_path / "model.zip", buffer_size=10, **given)).training
    assert training.replay["train_freq"] == expected


@pytest.mark.parametrize("name", REPLAYING)
def test_a_zip_without_a_policy_class_is_refused(name: str, tmp_path: Path) -> None:
    algorithm, kwargs = REPLAYING[name]
    save(algorithm, tmp_path / "model.zip", **kwargs)
    path = change(tmp_path / "model.zip", tmp_path / "other.zip", {"policy_class": None})
    with pytest.raises(NotPortable, match="names no policy class"):
        read(path)
