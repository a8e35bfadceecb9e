"""How many environment steps a second of recurrent training does, beside sb3-contrib's RecurrentPPO.

    python benchmarks/recurrent_speed.py [--rounds N] [--widths 16 64 256]

Both of our engines and sb3-contrib take turns in one process, with one thread, so that a busy moment hits all
of them alike; what counts is the processor's time. A round of each is at least one rollout and its update;
ratios are medians over rounds. LSTMs for actor and critic, a layer of 64 above each.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from sb3port.ppo.runs.trainer import Trainer
from tests.ppo.sb3 import Case, begin_ours, build_sb3

FOREVER = 10**9
ENGINES = ("exact", "fast")


@dataclass(frozen=True)
class Setting:
    """A training: its environment, and how rollouts are cut."""

    env: str
    n_envs: int
    settings: dict[str, Any]

    @property
    def words(self) -> str:
        """Say what is particular."""
        rows = f"{self.n_envs} x {self.settings['n_steps']}, batch {self.settings['batch_size']}"
        return f"{self.env}, {rows}, {self.settings['n_epochs']} epochs"


SETTINGS = (
    Setting("CartPole-v1", 8, {"n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98}),
    Setting("Pendulum-v1", 4, {"n_steps": 256, "batch_size": 128, "n_epochs": 10, "gamma": 0.9}),
    Setting("Pendulum-v1", 1, {"n_steps": 128, "batch_size": 128, "n_epochs": 10}),
    Setting("Pendulum-v1", 16, {"n_steps": 128, "batch_size": 512, "n_epochs": 10}),
)


def case_of(setting: Setting, width: int) -> Case:
    """Give the training that is measured."""
    kwargs = {"lstm_hidden_size": width, "net_arch": [64]}
    return Case(
        setting.env,
        FOREVER,
        setting.n_envs,
        "ppo_lstm",
        policy_kwargs=kwargs,
        settings=setting.settings,
    )


def measure(case: Case, rounds: int) -> dict[str, list[float]]:
    """Let all take turns, after a rollout of each; give steps per second of processor time."""
    rollout = case.settings["n_steps"] * case.n_envs
    model = build_sb3(case)
    turns: dict[str, Callable[[], object]] = {
        "SB3": partial(model.learn, rollout, reset_num_timesteps=False),
        **{engine: partial(iterate, begin_ours(replace(case, engine=engine))) for engine in ENGINES},
    }
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(1 + rounds):
        for name, work in turns.items():
            speed = rollout / seconds(work)
            if number:
                found[name].append(speed)
    return found


def iterate(trainer: Trainer) -> None:
    """Do one rollout and the update after it."""
    trainer.iterate()


def seconds(work: Callable[[], object]) -> float:
    """Give the processor time that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def row(setting: Setting, width: int, found: dict[str, list[float]]) -> str:
    """Give a row of the table."""
    speeds = " | ".join(f"{statistics.median(speeds):,.0f}" for speeds in found.values())
    ratios = " | ".join(
        f"{statistics.median(our / their for our, their in zip(found[name], found['SB3'], strict=True)):.1f}"
        for name in ENGINES
    )
    return f"| {setting.words} | {width} | {speeds} | {ratios} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64, 256])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("| training | LSTM | steps/s: sb3-contrib | exact | fast | exact, ratio | fast, ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    for setting in SETTINGS:
        for width in arguments.widths:
            print(row(setting, width, measure(case_of(setting, width), arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
