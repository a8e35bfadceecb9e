"""The fixtures, which today's SB3 can load itself: the port against `PPO.load` and `VecNormalize.load`."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tests.ports import assert_same_bits, port_of, port_outputs, sb3_outputs

HUB = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "CartPole-v1"])
def test_port_computes_what_the_loaded_model_computes(env_id: str, tmp_path: Path) -> None:
    folder = HUB / f"ppo-{env_id}"
    recorded = np.load(folder / "reference.npz")
    model = PPO.load(folder / f"ppo-{env_id}.zip", device="cpu")
    statistics, normalizer = folder / "vec_normalize.pkl", None
    if statistics.exists():
        normalizer = VecNormalize.load(str(statistics), DummyVecEnv([lambda: gymnasium.make(env_id)]))
        normalizer.training = False
    port_of(folder, tmp_path / "port", verify=False)
    batch = recorded["observation"], recorded["sampled_action"]
    assert_same_bits(port_outputs(tmp_path / "port", *batch), sb3_outputs(model, normalizer, *batch))


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "CartPole-v1"])
def test_port_of_the_zip_alone_is_the_port_of_the_folder(env_id: str, tmp_path: Path) -> None:
    folder = HUB / f"ppo-{env_id}"
    port_of(folder, tmp_path / "folder", verify=False)
    port_of(folder / f"ppo-{env_id}.zip", tmp_path / "zip", verify=False)
    names = {p.relative_to(tmp_path / "zip") for p in (tmp_path / "zip").rglob("*") if p.is_file()}
    different = {
        str(name)
        for name in names
        if (tmp_path / "zip" / name).read_bytes() != (tmp_path / "folder" / name).read_bytes()
    }
    assert different == {"sb3port.json", "README.md"}  # they say where the port comes from
