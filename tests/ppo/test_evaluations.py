"""Evaluations beside the training: SB3's numbers in SB3's file, and a report that is renewed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

import sb3port
from sb3port.errors import NotPortable
from sb3port.ppo.runs.evaluations import read_evaluations
from sb3port.ppo.runs.report import PICTURE, REPORT, RunReport
from sb3port.ppo.runs.running import Outcome, train
from tests.plugin import environments  # noqa: F401 (registers them)
from tests.ppo.sb3 import Case, begin_ours, build_sb3

SMALL = {"n_steps": 64, "batch_size": 32, "n_epochs": 2}


class Told(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Calls every second episode a success."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.episodes = 0

    def step(self, action: Any) -> Any:
        *rest, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            self.episodes += 1
            info = {**info, "is_success": self.episodes % 2 == 0}
        return (*rest, terminated, truncated, info)


def run(case: Case, out: Path, **settings: Any) -> Outcome:
    trainer = begin_ours(case)
    trainer.settings = replace(trainer.settings, save_every=1000, **settings)
    return train(trainer, None, out)


def test_returns_are_those_of_sb3(tmp_path: Path) -> None:
    """After so many steps SB3's `evaluate_policy` gives the same, on episodes with the same seeds."""
    case = Case("CartPole-v1", 384, 2, settings=SMALL)
    run(case, tmp_path, eval_every=128, eval_episodes=3, eval_seed=50)
    found = read_evaluations(tmp_path / "evaluations.npz")
    assert [result.timesteps for result in found] == [128, 256, 384]
    for steps, result in zip((128, 384), (found[0], found[-1]), strict=True):
        model = build_sb3(case).learn(steps)
        for seed, value, length in zip(range(50, 53), result.returns, result.lengths, strict=True):
            env = Monitor(gymnasium.make("CartPole-v1"))
            model_env = make_vec_env(lambda env=env: env, 1)
            model_env.seed(seed)
            returns, lengths = evaluate_policy(model, model_env, 1, return_episode_rewards=True)
            assert (returns, lengths) == ([value], [length])


def test_the_file_is_that_of_sb3(tmp_path: Path) -> None:
    """The same arrays of the same types and shapes, with successes where the environment tells them."""
    case = Case("CartPole-v1", 256, 2, settings=SMALL)
    eval_env = make_vec_env("CartPole-v1", 1, wrapper_class=Told)
    callback = EvalCallback(eval_env, None, None, 3, 64, str(tmp_path / "sb3"), verbose=0, warn=False)
    build_sb3(case).learn(case.steps, callback=callback)

    def make() -> gymnasium.Env[Any, Any]:
        return Told(gymnasium.make("CartPole-v1"))

    given = {**SMALL, "learning_rate": 3e-4}
    sb3port.train(
        make,
        tmp_path / "run",
        steps=256,
        n_envs=2,
        hyperparameters=given,
        eval_every=128,
        eval_episodes=3,
        save_every=128,
    )
    with (
        np.load(tmp_path / "sb3/evaluations.npz") as theirs,
        np.load(tmp_path / "run/evaluations.npz") as ours,
    ):
        assert set(ours.files) == set(theirs.files) == {"timesteps", "results", "ep_lengths", "successes"}
        for name in theirs.files:
            assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, theirs[name].dtype), name
        assert ours["timesteps"].tolist() == theirs["timesteps"].tolist()
        # Two evaluations of three episodes in one environment.
        assert ours["successes"].tolist() == [[False, True, False], [True, False, True]]
    rows = [json.loads(line) for line in (tmp_path / "run/progress.jsonl").read_text().splitlines()]
    assert rows[0]["eval/success_rate"] == pytest.approx(1 / 3)
    # SB3's is read as well.
    assert len(read_evaluations(tmp_path / "sb3/evaluations.npz")) == 2


def test_a_better_policy_is_kept_at_once(tmp_path: Path) -> None:
    """Evaluations are more often than checkpoints; the best one is a checkpoint all the same."""
    case = Case("CartPole-v1", 512, 2, settings=SMALL)
    outcome = run(case, tmp_path, eval_every=128, eval_episodes=2)
    results = read_evaluations(tmp_path / "evaluations.npz")
    best = max(results, key=lambda result: result.mean)
    assert outcome.best is not None
    assert outcome.best.name == f"{best.timesteps:06d}"
    assert outcome.best_return == best.mean


def test_evaluations_that_were_cut_off_are_forgotten(tmp_path: Path) -> None:
    hyperparameters = {**SMALL, "learning_rate": 3e-4, "clip_range": 0.2}
    how = {"eval_every": 64, "eval_episodes": 1, "save_every": 64}
    sb3port.train(
        "CartPole-v1", tmp_path / "run", steps=192, n_envs=1, hyperparameters=hyperparameters, **how
    )
    whole = (tmp_path / "run/evaluations.npz").read_bytes()
    report = (tmp_path / "run" / REPORT).read_text()
    sb3port.resume(tmp_path / "run/checkpoints/000064", 192)
    found = read_evaluations(tmp_path / "run/evaluations.npz")
    assert [result.timesteps for result in found] == [64, 128, 192]
    assert (tmp_path / "run/evaluations.npz").read_bytes() == whole
    assert [line for line in report.splitlines() if "a second" not in line] == [
        line for line in (tmp_path / "run" / REPORT).read_text().splitlines() if "a second" not in line
    ]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evaluations.npz", timesteps=np.array([{}], object))
    with pytest.raises(NotPortable, match="holds no evaluations that can be read"):
        read_evaluations(tmp_path / "evaluations.npz")
    (tmp_path / "evaluations.npz").write_bytes(b"PK")
    with pytest.raises(NotPortable, match="is not a whole zip archive"):
        read_evaluations(tmp_path / "evaluations.npz")


def test_the_report_is_renewed_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("CartPole-v1", 256, 2, settings=SMALL)
    trainer = begin_ours(case)
    trainer.settings = replace(trainer.settings, save_every=128, eval_episodes=2)
    out = tmp_path / "a run, *with* a [name](https://x)"
    train(trainer, None, out, RunReport("ppo"))
    text = (out / REPORT).read_text()
    assert text.startswith("# PPO on CartPole-v1\n\n![Return over steps](learning_curve.png)\n")
    assert (out / PICTURE).read_bytes().startswith(b"\x89PNG")
    assert "| steps | 256 of 256 |" in text
    assert "## Evaluations of 2 episodes" in text
    assert "sb3port train --resume '" in text
    monkeypatch.setattr("sb3port.ppo.runs.report.missing", lambda _: ["matplotlib"])
    (out / PICTURE).unlink()
    trainer = begin_ours(case)
    train(trainer, None, tmp_path / "other", RunReport("ppo"))
    assert "![" not in (tmp_path / "other" / REPORT).read_text()
    assert not (tmp_path / "other" / PICTURE).exists()
