"""Checkpoints and live models published in one commit, which all who read the Hub take."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from huggingface_hub import hf_hub_download
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3port
from sb3port.commands.policies import ReadOptions
from sb3port.commands.publish import Packing, packed
from sb3port.commands.publishing.contents import Upload
from sb3port.commands.publishing.uploading import push
from sb3port.errors import UsageError
from sb3port.readers.places.source import SourceOptions
from tests.ports import port_of

from ..state import LoopbackHub
from .pushing import FIXTURES

pytestmark = pytest.mark.long

PENDULUM = FIXTURES / "sb3port" / "ppo-Pendulum-v1"
REPO = "me/ppo-Pendulum-v1"
PORT = {"config.json", "model.safetensors", "policy_preprocessor.json", "sb3port.json", "parity.json"}
FOR_SB3 = {"ppo-Pendulum-v1.zip", "vec_normalize.pkl", "config.yml"}
OBSERVATION = np.float32([[0.6, -0.8, 1.5]])


def published(hub: LoopbackHub) -> dict[str, bytes]:
    """Give the files of the newest commit."""
    repo = hub.repos[REPO]
    return dict(repo.commits[repo.refs["main"]])


def action_of(policy: Any) -> np.ndarray:
    return np.asarray(policy.predict(OBSERVATION, deterministic=True)[0])


@pytest.fixture
def live() -> PPO:
    """A model that SB3 has just trained."""
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1", g=9.0)]))
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=32, device="cpu", policy_kwargs={"net_arch": [8]})
    return model.learn(64)


def test_a_source_is_there_for_everyone(hub: LoopbackHub, tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    packing = Packing(seeds=range(2))
    with packed(str(PENDULUM), REPO, packing, lambda *said: told.append(said)) as upload:
        done = push(upload)
    assert done.changed
    files = published(hub)
    assert set(files) >= PORT | FOR_SB3 | {"README.md", "results.json", "replay.mp4"}
    assert len(hub.repos[REPO].commits) <= 2  # the first is made with the repository
    card = files["README.md"].decode()
    assert "## Run it with Stable-Baselines3" in card
    assert "model-index" in card
    assert "- stable-baselines3" in card
    assert str(tmp_path) not in card + files["sb3port.json"].decode()
    results = json.loads(files["results.json"])
    assert (results["n_eval_episodes"], results["seeds"]) == (2, [0, 1])
    assert {stage for stage, _ in told} >= {"read", "verify", "sb3", "eval", "film"}

    expected = action_of(sb3port.load_policy(PENDULUM))
    assert np.array_equal(action_of(sb3port.load_policy(REPO)), expected)
    assert port_of(Path(REPO), tmp_path / "port").report is not None
    model = PPO.load(hf_hub_download(REPO, "ppo-Pendulum-v1.zip"), device="cpu")
    assert model.num_timesteps > 0
    normalizer = VecNormalize.load(
        hf_hub_download(REPO, "vec_normalize.pkl"), DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
    )
    assert np.array_equal(
        model.predict(normalizer.normalize_obs(OBSERVATION), deterministic=True)[0], expected
    )


def test_lerobot_eval_runs_it(hub: LoopbackHub, tmp_path: Path) -> None:
    with packed(str(PENDULUM), REPO, Packing(seeds=()), lambda *_: None) as upload:
        push(upload)
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("HF_TOKEN")
    command = (
        *("lerobot-eval", f"--policy.path={REPO}", "--env.type=gymnasium", "--env.task=Pendulum-v1"),
        *("--eval.n_episodes=2", "--eval.batch_size=1", "--eval.use_async_envs=false", "--seed=7"),
        f"--output_dir={tmp_path / 'out'}",
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads((tmp_path / "out" / "eval_info.json").read_text())["per_task"][0]["metrics"]
    own = sb3port.evaluate(REPO, episodes=2, seed=7)
    assert measured["sum_rewards"] == pytest.approx(own.returns, rel=1e-9)


def test_a_live_model(hub: LoopbackHub, live: PPO) -> None:
    upload, done = sb3port.publish(live, REPO, episodes=1, film=False)
    assert done is not None
    assert (upload.verdict, upload.repo_id) == ("bit-exact", REPO)
    files = published(hub)
    assert set(files) >= PORT | {"ppo-Pendulum-v1.zip", "vec_normalize.pkl"}
    assert "replay.mp4" not in files
    normalizer = live.get_vec_normalize_env()
    assert normalizer is not None
    seen = normalizer.normalize_obs(OBSERVATION)
    assert np.array_equal(action_of(sb3port.load_policy(REPO)), live.predict(seen, deterministic=True)[0])
    assert "g=9.0" in files["README.md"].decode().replace(" ", "").replace('"g":9.0', "g=9.0")


def test_nothing_goes_up_in_a_dry_run(hub: LoopbackHub, live: PPO) -> None:
    upload, done = sb3port.publish(live, REPO, episodes=0, dry_run=True)
    assert done is None
    assert isinstance(upload, Upload)
    assert "results.json" not in upload.files
    assert REPO not in hub.repos


def test_a_policy_of_several_networks(hub: LoopbackHub) -> None:
    settings = {"buffer_size": 60, "learning_starts": 10, "policy_kwargs": {"net_arch": [4]}}
    model = SAC("MlpPolicy", "Pendulum-v1", device="cpu", **settings).learn(20)
    sb3port.publish(model, REPO, episodes=0)
    for name in ("actor.optimizer", "critic.optimizer", "ent_coef_optimizer"):
        hf_hub_download(REPO, f"training_state/{name}/optimizer_state.safetensors")
    hf_hub_download(REPO, "training_state/pytorch_variables.safetensors")
    observation = np.array([1.0, 0.0, 0.5], np.float32)
    expected = model.predict(observation, deterministic=True)[0]
    assert np.array_equal(sb3port.load_policy(REPO).predict(observation)[0], expected)
    assert "Sb3SacPolicy" in Path(hf_hub_download(REPO, "README.md")).read_text()


def test_what_cannot_be_published(hub: LoopbackHub, live: PPO, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a repository"):
        sb3port.publish(live, "nameless")
    nameless = gymnasium.make("Pendulum-v1").unwrapped
    nameless.spec = None
    with pytest.raises(UsageError, match="env has no id"):
        sb3port.publish(live, REPO, nameless)
    with pytest.raises(UsageError, match="CartPole-v1"):
        sb3port.publish(live, REPO, "CartPole-v1")
    absent = Packing(ReadOptions(SourceOptions(filename="nothing.zip")))
    with pytest.raises(UsageError), packed(str(PENDULUM), REPO, absent, lambda *_: None):
        pass
    assert REPO not in hub.repos


def test_an_environment_that_is_not_here_is_left_out(tmp_path: Path, live: PPO) -> None:
    told: list[tuple[str, str]] = []
    live.save(tmp_path / "alone" / "model.zip")
    packing = Packing(ReadOptions(use_stats=False))
    with packed(str(tmp_path / "alone"), REPO, packing, lambda *said: told.append(said)) as upload:
        assert "results.json" not in upload.files
    assert any(stage == "warning" and "not evaluated" in text for stage, text in told)
