"""`PortCallback` in SB3's own `learn`: verified ports, and a training that knows nothing of it."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3port
from sb3port.callbacks import PortCallback
from sb3port.errors import UsageError, VerificationFailed
from sb3port.ports.reading import read_port


def trained(callback: BaseCallback | None) -> tuple[Any, VecNormalize]:
    """Train with SB3, from one seed."""
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]))
    model = PPO(
        "MlpPolicy", env, n_steps=32, batch_size=16, seed=0, device="cpu", policy_kwargs={"net_arch": [8]}
    )
    model.learn(96, callback=callback)
    return model, env


def test_ports_are_verified_and_the_training_is_the_same(tmp_path: Path) -> None:
    callback = PortCallback(every=40, dest=tmp_path / "ports", save_zip=True)
    alone, _ = trained(None)
    model, env = trained(callback)
    for name, value in alone.policy.state_dict().items():
        assert torch.equal(model.policy.state_dict()[name], value)
    assert [port.name for port in callback.ports] == [f"model_{n}_steps" for n in (40, 80, 96)]
    last = read_port(callback.ports[-1])
    assert last.normalizer is not None
    assert np.array_equal(last.normalizer.statistics[""].mean, env.obs_rms.mean)
    assert torch.equal(
        torch.as_tensor(np.array(last.tensors["action_net.weight"])), model.policy.action_net.weight
    )
    assert (callback.ports[-1] / "parity.json").exists()
    assert sb3port.verify(callback.ports[0], reload=False).verdict == "bit-exact"


def test_without_zips_only_ports_are_left(tmp_path: Path) -> None:
    callback = PortCallback(every=1000, dest=tmp_path, name_prefix="mine", verify=False)
    trained(callback)
    assert [path.name for path in tmp_path.iterdir()] == ["mine_96_steps"]


def test_what_cannot_be_ported_is_kept_as_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise VerificationFailed("it differs", {})

    monkeypatch.setattr("sb3port.callbacks.convert", fails)
    with pytest.warns(UserWarning, match="mine_96_steps was not ported.*it differs"):
        trained(PortCallback(every=1000, dest=tmp_path, name_prefix="mine"))
    assert sorted(path.name for path in (tmp_path / "mine_96_steps_sb3").iterdir()) == [
        "model.zip",
        "vec_normalize.pkl",
    ]


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every is 0"):
        PortCallback(every=0, dest=tmp_path)

    class Own(PPO):
        """An algorithm that nobody knows."""

    with pytest.raises(UsageError, match="Own is not ported"):
        Own("MlpPolicy", "Pendulum-v1", n_steps=8).learn(1, callback=PortCallback(1, tmp_path))


def test_an_algorithm_that_learns_from_replayed_steps(tmp_path: Path) -> None:
    callback = PortCallback(20, tmp_path, verify=False)
    settings = {"buffer_size": 60, "learning_starts": 10, "policy_kwargs": {"net_arch": [4]}}
    SAC("MlpPolicy", "Pendulum-v1", **settings).learn(40, callback=callback)
    assert [read_port(port).spec.algorithm for port in callback.ports] == ["sac", "sac"]
