"""The real `lerobot-train` clones a recorded policy, from nothing and from a port."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from safetensors.numpy import load_file
from stable_baselines3 import PPO

import sb3port
from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.evaluate import evaluate_port
from sb3port.commands.policies import read_policy
from sb3port.commands.record import RecordOptions, record
from sb3port.environments.dataset import write_dataset
from sb3port.environments.rollouts import Setting
from sb3port.files.port_files import STATISTICS_FILE

pytestmark = pytest.mark.long

SOURCE = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port" / "ppo-CartPole-v1"
PENDULUM = SOURCE.with_name("ppo-Pendulum-v1")
MODEL = "checkpoints/last/pretrained_model"


def lerobot_train(dataset: Path, out: Path, *arguments: str) -> Path:
    """Run the command as a user does; gives the folder of the trained policy."""
    command = [
        str(Path(sys.executable).with_name("lerobot-train")),
        "--policy.push_to_hub=false",
        f"--dataset.repo_id=local/{dataset.name}",
        f"--dataset.root={dataset}",
        "--dataset.video_backend=pyav",
        "--num_workers=0",
        "--wandb.enable=false",
        f"--output_dir={out}",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / MODEL


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "cartpole"
    write_dataset(record(str(SOURCE), RecordOptions("CartPole-v1", range(4))), folder)
    return folder


@pytest.mark.thorough
def test_cloning_from_nothing_beats_chance(dataset: Path, tmp_path: Path) -> None:
    """About 22 is what random actions get in CartPole."""
    action_space = '--policy.action_space={"type": "Discrete", "n": 2}'
    arguments = ("--policy.type=ppo", "--policy.device=cpu", "--policy.optimizer_lr=0.003", action_space)
    model = lerobot_train(dataset, tmp_path / "out", *arguments, "--steps=150", "--batch_size=256")
    assert evaluate_port(model, Setting("CartPole-v1", range(100, 105))).mean > 150


def test_a_port_keeps_its_statistics(tmp_path: Path) -> None:
    """LeRobot replaces the statistics of its own normaliser by those of the dataset; SB3's stay."""
    port = tmp_path / "port"
    convert(str(PENDULUM), port, ConvertOptions(verify=False), lambda *_: None)
    write_dataset(record(str(port), RecordOptions("Pendulum-v1", range(2))), tmp_path / "data")
    model = lerobot_train(
        tmp_path / "data", tmp_path / "out", f"--policy.path={port}", "--steps=5", "--batch_size=32"
    )
    assert (model / STATISTICS_FILE).read_bytes() == (port / STATISTICS_FILE).read_bytes()
    before, after = (load_file(folder / "model.safetensors") for folder in (port, model))
    assert any((before[name] != after[name]).any() for name in before)
    trained = read_policy(model)
    assert str(trained.spec.action_space) == "Box(-2, 2, (1,), float32)"
    assert evaluate_port(model, Setting("Pendulum-v1", range(3))).mean > -400
    exported = sb3port.export(model, tmp_path / "sb3").folder
    assert PPO.load(next(exported.glob("*.zip")), device="cpu").action_space == gymnasium.spaces.Box(
        -2, 2, (1,)
    )
