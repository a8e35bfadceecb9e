"""Zips saved by today's SB3: three algorithms are read, the others are refused by their names."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from sb3port.errors import NotPortable, Unsafe
from sb3port.families.actor_critic import expected_shapes

from .making import BOX, read, save

TWO = spaces.Discrete(2)
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)


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


UNSUPPORTED = {
    "DQN": (DQN, {"action": TWO}, "DQN"),
    "SAC": (SAC, {"buffer_size": 10}, "SAC"),
    "TD3": (TD3, {"buffer_size": 10}, "TD3"),
    "MaskablePPO": (MaskablePPO, {"action": TWO}, "MaskableActorCriticPolicy"),
    "RecurrentPPO": (
        RecurrentPPO,
        {"policy": "MlpLstmPolicy", "policy_kwargs": {"lstm_hidden_size": 4}},
        "RecurrentActorCriticPolicy",
    ),
    "Cnn": (
        PPO,
        {
            "policy": "CnnPolicy",
            "observation": IMAGE,
            "policy_kwargs": {"features_extractor_kwargs": {"features_dim": 4}},
        },
        "ActorCriticCnnPolicy",
    ),
    "Dict": (
        PPO,
        {"policy": "MultiInputPolicy", "observation": spaces.Dict({"a": BOX})},
        "MultiInputActorCriticPolicy",
    ),
    "MultiDiscrete": (PPO, {"action": spaces.MultiDiscrete([2, 3])}, "MultiDiscrete"),
    "MultiBinary": (PPO, {"action": spaces.MultiBinary(3)}, "MultiBinary"),
    "Discrete observations": (PPO, {"observation": spaces.Discrete(4)}, "Discrete space"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_is_named(name: str, tmp_path: Path) -> None:
    algorithm, kwargs, words = UNSUPPORTED[name]
    path = save(algorithm, tmp_path / "model.zip", **kwargs)
    with pytest.raises(NotPortable, match=words) as caught:
        read(path)
    assert "supported" in str(caught.value.hint)
    assert caught.value.exit_code == 4


CUSTOM = """
import sys
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
import custom_module

class MyPolicy(ActorCriticPolicy):
    pass

sys.path.insert(0, {tests!r})
from readers.making import save
save(PPO, "by_value.zip", MyPolicy)
save(PPO, "by_name.zip", custom_module.TheirPolicy)
"""


@pytest.fixture(scope="module")
def custom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zips of policy classes of a user's own: one in the script, one in a module beside it."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "custom_module.py").write_text(
        "from stable_baselines3.common.policies import ActorCriticPolicy\n"
        "class TheirPolicy(ActorCriticPolicy): ...\n"
    )
    (folder / "script.py").write_text(CUSTOM.format(tests=str(Path(__file__).parents[1])))
    subprocess.run([sys.executable, "script.py"], cwd=folder, check=True)
    return folder


def test_a_policy_class_by_value_is_unsafe(custom: Path) -> None:
    with pytest.raises(Unsafe, match="MyPolicy") as caught:
        read(custom / "by_value.zip")
    assert caught.value.exit_code == 5


def test_a_policy_class_by_name_is_named(custom: Path) -> None:
    with pytest.raises(NotPortable, match=r"custom_module\.TheirPolicy") as caught:
        read(custom / "by_name.zip")
    assert caught.value.exit_code == 4
    assert "custom_module" not in sys.modules
