"""`train --optimize`: trials of rl_zoo3's space that are pruned, a study that goes on, and what it leaves."""

import csv
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import FixedTrial

from sb3port.commands.optimizing.space import SEARCHED, sample

from .conftest import Cli

# What is given holds: trials differ in what is left, and take no time.
SHORT = ("--n-steps", 32, "--batch-size", 32, "--n-epochs", 1, "--n-envs", 2, "--eval-episodes", 1)
CALL = ("train", "--env", "CartPole-v1", "--steps", 192, "--out", "study", "--optimize", *SHORT)
CHOSEN = {
    "batch_size_pow": 6,
    "n_steps_pow": 9,
    "one_minus_gamma": 0.01,
    "one_minus_gae_lambda": 0.05,
    "learning_rate": 3e-4,
    "ent_coef": 1e-4,
    "clip_range": 0.2,
    "n_epochs": 10,
    "max_grad_norm": 0.5,
    "net_arch": "small",
    "activation_fn": "tanh",
}


def test_a_study_goes_on(cli: Cli) -> None:
    result = cli(*CALL, "--n-trials", 2, "--n-startup-trials", 2, "--n-evaluations", 3)
    result.succeeds()
    assert [line.split()[1] for line in result.err.splitlines() if line.startswith("trial")] == ["0,", "1,"]
    assert "hint: train with it: sb3port train --env CartPole-v1 --config study/best.yml" in result.err
    again = cli(*CALL, "--n-trials", 4, "--n-startup-trials", 2, "--n-evaluations", 3, "--json")
    again.succeeds()
    assert [line.split()[1] for line in again.err.splitlines() if line.startswith("trial")] == ["2,", "3,"]
    found = json.loads(again.out)
    assert (found["trials"], found["out"]) == (4, "study")
    study = optuna.load_study(study_name="CartPole-v1", storage="sqlite:///study/study.db")
    assert found["best_return"] == study.best_value
    assert len({trial.params["learning_rate"] for trial in study.trials}) == 4
    assert max(study.trials[0].intermediate_values) == 3
    _check_what_is_left(found, study)


def _check_what_is_left(found: dict[str, Any], study: optuna.Study) -> None:
    text = Path("study/study.md").read_text()
    assert "![Returns of the trials" in text
    assert f"The best, number {study.best_trial.number}, returned" in text
    assert Path("study/study.png").read_bytes().startswith(b"\x89PNG")
    with Path("study/trials.csv").open(newline="") as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["0", "1", "2", "3"]
    best = yaml.safe_load(Path("study/best.yml").read_text())["CartPole-v1"]
    assert (best["n_steps"], best["batch_size"], best["n_envs"], best["n_timesteps"]) == (32, 32, 2, 192)
    assert best["gamma"] == found["hyperparameters"]["gamma"]


def test_what_was_found_can_be_trained(cli: Cli) -> None:
    cli(*CALL, "--n-trials", 1).succeeds()
    trained = cli(
        "train", "--env", "CartPole-v1", "--config", "study/best.yml", "--out", "run", "--eval-episodes", 0
    )
    trained.succeeds()
    settings = json.loads(Path("run/checkpoints/last/training_state/training.json").read_text())["settings"]
    best = yaml.safe_load(Path("study/best.yml").read_text())["CartPole-v1"]
    for name in ("gamma", "gae_lambda", "ent_coef", "max_grad_norm"):
        assert settings["hyperparameters"][name] == best[name]


def test_bad_trials_are_pruned(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is worse than the median of those before at the same evaluation ends there."""
    returns = iter([9.0, 9.0, 9.0, 1.0])

    def evaluate(self: object, *_: object) -> Any:
        from sb3port.ppo.runs.evaluations import EvalResult

        return EvalResult(0, (next(returns),), (1,))

    monkeypatch.setattr("sb3port.ppo.runs.evaluating.Evaluator.evaluate", evaluate)
    result = cli(*CALL, "--n-trials", 2, "--n-startup-trials", 1, "--n-evaluations", 3)
    result.succeeds()
    assert "trial   0, return 9.00" in result.err
    assert "trial   1, pruned" in result.err


def test_divergence_prunes(cli: Cli) -> None:
    result = cli(*CALL, "--n-trials", 1, "--learning-rate", 1e30, "--json")
    result.succeeds()
    found = json.loads(result.out)
    assert (found["pruned"], found["best"]) == (1, None)
    assert not Path("study/best.yml").exists()


def test_the_space() -> None:
    found = sample(FixedTrial(CHOSEN))
    assert set(found.settings) == set(SEARCHED)
    assert (found.settings["n_steps"], found.settings["batch_size"]) == (512, 64)
    assert (found.settings["gamma"], found.settings["gae_lambda"]) == (0.99, 0.95)
    assert found.policy_kwargs == {"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "activation_fn": "Tanh"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--sampler", "tpee"), "--sampler is 'tpee', but it must be one of tpe, random"),
        (("--pruner", "medan"), "did you mean median?"),
        (("--policy-kwargs", "dict(net_arch=[8])"), "--optimize chooses policy_kwargs itself"),
        (("--eval-episodes", "0"), "--optimize needs evaluations"),
        (("--gamma", "2"), "gamma of the command line is 2"),
        (("--config", "wrapped.yml"), "wrapped.yml asks for wrappers"),
    ],
    ids=["sampler", "pruner", "kwargs", "episodes", "gamma", "wrappers"],
)
def test_refusals(cli: Cli, more: tuple[str, ...], sentence: str) -> None:
    Path("wrapped.yml").write_text("CartPole-v1:\n  env_wrapper: rl_zoo3.wrappers.FrameSkip\n")
    cli(*CALL, *more).fails(2, sentence)
    assert not Path("study").exists()
