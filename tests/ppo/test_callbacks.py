"""Callbacks of scripts: when they are told what, what they may change, and environments that scripts give."""

import csv
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3port
from sb3port import Training, TrainingCallback
from sb3port.errors import Sb3portError, UsageError
from sb3port.ports.reading import read_port

SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "learning_rate": 3e-4, "clip_range": 0.2}


def trained(env: Any, out: Path, *callbacks: TrainingCallback, steps: int = 128, **more: Any) -> Any:
    given = {**SMALL, **more.pop("given", {})}
    settings = {"n_envs": 1, "eval_episodes": 0, "save_every": 64, **more}
    settings = {name: value for name, value in settings.items() if value is not None}
    return sb3port.train(env, out, steps=steps, hyperparameters=given, callbacks=callbacks, **settings)


class Noting(TrainingCallback):
    def __init__(self) -> None:
        self.told: list[str] = []
        self.shapes: set[tuple[int, ...]] = set()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("on_"):
            self.told.append(name)
        return found

    def on_rollout_end(self, training: Training) -> None:
        assert training.rollout is not None
        self.shapes.add(training.rollout.rewards.shape)


def test_the_order_of_things(tmp_path: Path) -> None:
    noting = Noting()
    trained("CartPole-v1", tmp_path, noting, eval_every=64, eval_episodes=1)
    each = ["on_rollout_start", "on_rollout_end", "on_update_end"]
    examined = [*each, "on_evaluation", "on_log", "on_checkpoint"]
    twice = [*each, "on_log", *examined]
    assert noting.told == ["on_training_start", *twice, *twice, "on_training_end"]
    assert noting.shapes == {(32, 1)}


class Stopping(TrainingCallback):
    def __init__(self, event: str) -> None:
        setattr(self, event, lambda *_: False)


@pytest.mark.parametrize(
    "event", ["on_rollout_end", "on_update_end", "on_evaluation", "on_log", "on_checkpoint"]
)
def test_false_ends_the_training_with_a_checkpoint(event: str, tmp_path: Path) -> None:
    outcome = trained("CartPole-v1", tmp_path, Stopping(event), eval_every=32, eval_episodes=1, save_every=32)
    assert (outcome.steps, outcome.stopped, outcome.interrupted) == (32, True, False)
    assert outcome.port == outcome.last / "pretrained_model"
    assert read_port(outcome.port).training.hyperparameters["num_timesteps"] == 32
    # As the end of any run, the last policy is evaluated; the run can go on all the same.
    assert outcome.best is not None
    assert sb3port.resume(tmp_path).steps == 128


class Changing(TrainingCallback):
    """Halves the step size from 64 steps on, and logs what it did."""

    def on_update_end(self, training: Training) -> None:
        if training.num_timesteps == 64:
            training.set(learning_rate=1e-4)
        training.log("custom/heat", training.num_timesteps / 10)
        training.log("custom/nothing", float("nan"))


def test_schedules_and_own_numbers(tmp_path: Path) -> None:
    trained("CartPole-v1", tmp_path, Changing())
    with (tmp_path / "progress.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["train/learning_rate"]) for row in rows] == [3e-4, 3e-4, 1e-4, 1e-4]
    assert [float(row["custom/heat"]) for row in rows] == [3.2, 6.4, 9.6, 12.8]
    assert {row["custom/nothing"] for row in rows} == {""}


def test_a_schedule_there_is_not(tmp_path: Path) -> None:
    class Wrong(TrainingCallback):
        def on_training_start(self, training: Training) -> None:
            training.set(learning_rat=1.0)

    with pytest.raises(UsageError, match="there is no schedule learning_rat") as refused:
        trained("CartPole-v1", tmp_path, Wrong())
    assert refused.value.hint == "did you mean learning_rate?"


def test_the_end_is_told_after_a_failure(tmp_path: Path) -> None:
    class Failing(TrainingCallback):
        failed = False

        def on_log(self, training: Training) -> None:
            raise RuntimeError("mine")

        def on_training_end(self, training: Training) -> None:
            self.failed = training.failed

    failing = Failing()
    with pytest.raises(RuntimeError, match="mine"):
        trained("CartPole-v1", tmp_path, failing)
    assert failing.failed


def weights(outcome: Any) -> bytes:
    return bytes((outcome.port / "model.safetensors").read_bytes())


def make(**kwargs: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("Pendulum-v1", **kwargs)


def test_environments_of_scripts_are_those_of_ids(tmp_path: Path) -> None:
    """Functions, environments, lists of both and vector environments: the same bits, and the id is kept."""
    by_id = trained("Pendulum-v1", tmp_path / "id", n_envs=2, given={"use_sde": False})
    ways = {
        "function": (make, 2),
        "functions": ([make, make], None),
        "environments": ([make(), make()], None),
        "make_vec_env": (make_vec_env("Pendulum-v1", 2), None),
        "DummyVecEnv": (DummyVecEnv([make, make]), 2),
        "SyncVectorEnv": (gymnasium.vector.SyncVectorEnv([make, make]), None),
    }
    for name, (env, count) in ways.items():
        outcome = trained(env, tmp_path / name, n_envs=count, given={"use_sde": False})
        assert weights(outcome) == weights(by_id), name
        assert read_port(outcome.port).environment.env_id == "Pendulum-v1", name


class Doubled(gymnasium.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> float:
        return 2 * float(reward)


def test_an_environment_that_gymnasium_cannot_make_again(tmp_path: Path) -> None:
    def own() -> gymnasium.Env[Any, Any]:
        return Doubled(make())

    outcome = trained(own, tmp_path / "run", eval_every=128, eval_episodes=2)
    assert read_port(outcome.port).environment.env_id is None
    assert outcome.best is not None
    with pytest.raises(Sb3portError, match="must be named with --env"):
        sb3port.resume(tmp_path / "run", 192)
    again = sb3port.resume(tmp_path / "run", 192, env=own)
    whole = trained(own, tmp_path / "whole", steps=192)
    assert again.steps == 192
    assert weights(again) == weights(whole)
    with pytest.raises(Sb3portError, match="--env"):
        sb3port.evaluate(outcome.port)


def test_arguments_of_environments(tmp_path: Path) -> None:
    outcome = trained(make, tmp_path / "run", env_kwargs={"g": 9.0}, given={"use_sde": False})
    assert read_port(outcome.port).environment.env_kwargs == {"g": 9.0}
    by_id = trained("Pendulum-v1", tmp_path / "id", env_kwargs={"g": 9.0}, given={"use_sde": False})
    assert weights(outcome) == weights(by_id)
    with pytest.raises(UsageError, match="env_kwargs are for environments that are yet to be made"):
        trained(make(), tmp_path / "no", env_kwargs={"g": 9.0})


@pytest.mark.parametrize(
    ("env", "more", "sentence"),
    [
        (make_vec_env("Pendulum-v1", 2), {"n_envs": 3}, "n_envs is 3, and 2 are made already"),
        (VecNormalize(make_vec_env("Pendulum-v1", 2)), {}, "a VecNormalize does not show its environments"),
        (3, {}, "a int is no environment"),
        ([], {}, "there is no environment in the list"),
        (lambda: 3, {}, "the function made a int, which is no environment"),
        (make(), {"eval_every": 64}, "eval_every needs an environment beside that of the training"),
        ("Pendulm-v1", {}, "there is none of this name"),
        (make, {"evaluate_every": 3}, "there is no argument evaluate_every"),
        (make, {"eval_every": 3, "eval_episodes": 0}, "eval_every needs episodes"),
    ],
    ids=["count", "normalised", "number", "empty", "no env", "nowhere", "id", "word", "episodes"],
)
def test_what_is_refused(env: Any, more: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        sb3port.train(env, tmp_path / "run", steps=64, **more)
    assert not (tmp_path / "run").exists()


def test_one_environment_is_evaluated_in_another(tmp_path: Path) -> None:
    outcome = trained(make(), tmp_path / "run", eval_env=Doubled(make()), eval_episodes=1)
    assert outcome.best_return is not None
    found = sb3port.evaluate(outcome.best / "pretrained_model", "Pendulum-v1", episodes=1, seed=10_000)
    assert np.isclose(outcome.best_return, 2 * found.mean)


def test_words_of_the_command_in_a_script(tmp_path: Path) -> None:
    outcome = trained(
        "Pendulum-v1",
        tmp_path / "run",
        policy="MlpPolicy",
        policy_kwargs={"net_arch": [8], "activation_fn": torch.nn.ReLU},
        normalize=True,
        normalize_kwargs={"norm_reward": False},
        engine="exact-autograd",
        given={"use_sde": False},
    )
    port = read_port(outcome.port)
    assert (port.spec.activation_fn, port.normalizer is not None) == ("ReLU", True)
    assert port.normalizer is not None
    assert not port.normalizer.norm_reward


def test_finetuning_tells_callbacks(pendulum: Path, tmp_path: Path) -> None:
    noting = Noting()
    given = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    sb3port.finetune(
        pendulum,
        tmp_path,
        64,
        n_envs=1,
        hyperparameters=given,
        callbacks=[noting],
        eval_episodes=0,
        track="tensorboard",
        use_stats=True,
    )
    assert noting.told.count("on_update_end") == 2
    assert (tmp_path / "tensorboard/PPO_1").is_dir()
