"""What rl_zoo3 itself makes of our evaluations, and where it searches for hyperparameters."""

import json
from pathlib import Path

import optuna
import pytest
import torch

import sb3port
from sb3port.commands.optimizing.space import sample
from tests.interop.environments import environment, run

pytestmark = [pytest.mark.interop, pytest.mark.thorough]

PACKAGES = (
    "rl_zoo3==2.9.2",
    f"torch=={torch.__version__.partition('+')[0]}",
    "seaborn",
    "rliable",
    "pandas<3",
    "pytablewriter",
)


def test_its_plots_read_our_evaluations_and_its_space_is_ours(tmp_path: Path) -> None:
    given = {"n_steps": 64, "batch_size": 32, "n_epochs": 1}
    for number in (1, 2):
        sb3port.train(
            "CartPole-v1",
            tmp_path / f"logs/ppo/CartPole-v1_{number}",
            steps=256,
            n_envs=2,
            seed=number,
            hyperparameters=given,
            eval_every=128,
        )
    script = Path(__file__).with_name("read_with_rl_zoo3.py")
    run(environment("rl_zoo3-2.9", PACKAGES), script, tmp_path / "logs", tmp_path, MPLBACKEND="agg")
    found = json.loads((tmp_path / "found.json").read_text())
    trial = optuna.create_study().ask()
    sample(trial)
    ours = {n: optuna.distributions.distribution_to_json(d) for n, d in trial.distributions.items()}
    assert ours == found["space"]
    assert "array([128, 256])" in found["drawn"]
