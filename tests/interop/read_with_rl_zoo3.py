"""Run where rl_zoo3 is: draw our evaluations with its plots, and write down its search space."""

import json
import pickle
import sys
from pathlib import Path

import optuna
from rl_zoo3.hyperparams_opt import HYPERPARAMS_SAMPLER
from rl_zoo3.plots import all_plots

LOGS, OUT = Path(sys.argv[1]), Path(sys.argv[2])


def space() -> dict[str, str]:
    study = optuna.create_study()
    trial = study.ask()
    HYPERPARAMS_SAMPLER["ppo"](trial, 1, 1, {})
    kinds = trial.distributions.items()
    return {name: optuna.distributions.distribution_to_json(kind) for name, kind in kinds}


if __name__ == "__main__":
    words = f"-a ppo -e CartPole-v1 -f {LOGS} --no-display -o {OUT / 'plots'}"
    sys.argv = ["all_plots", *words.split()]
    all_plots()
    with (OUT / "plots.pkl").open("rb") as file:
        drawn = pickle.load(file)
    series = drawn["results"]["CartPole-v1"] if "results" in drawn else drawn["CartPole-v1"]
    (OUT / "found.json").write_text(json.dumps({"space": space(), "drawn": str(series)}))
