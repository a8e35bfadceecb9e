"""Whether our training is SB3's, bit for bit: every kind of training, done by both.

    python benchmarks/exactness.py [NAME ...] [--steps N]

Both begin from the same seed in this process, with one torch thread. Then every parameter, the optimiser's
state, the last rollout (observations, actions, rewards, values, log-probabilities, advantages, returns) and
the normaliser are compared with `torch.equal`. A fine-tuning begins with a zip that SB3 saved and we ported,
and is compared with `PPO.load(...).learn(..., reset_num_timesteps=False)`. If a bit differs, the exit code
is 1.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

sys.path.insert(0, str(Path(__file__).parents[1]))
from sb3port.ppo.runs.trainer import Trainer
from tests.ppo.cases import CASES, FINETUNED, tuned
from tests.ppo.sb3 import Case, begin_ours, compared, finetune, finetune_sb3, run, save_sb3, train_sb3

STEPS = 20_000
TUNED = (
    "Pendulum-v1",
    "CartPole-v1",
    "MountainCarContinuous-v0",
    "Acrobot-v1",
    "LunarLander-v3",
    "HalfCheetah-v5",
    "Hopper-v5",
)


@dataclass(frozen=True)
class Finding:
    """What came of one case.

    Args:
        steps: Environment steps of each training.
        n_updates: Epochs of each training.
        arrays: How many arrays were compared, with how many numbers.
        different: The largest difference in each array that differs in any bit.
        seconds: Processor time of SB3 and of ours.
    """

    steps: int
    n_updates: int
    arrays: tuple[int, int]
    different: dict[str, float]
    seconds: tuple[float, float]


def cases(steps: int) -> dict[str, tuple[Case, bool]]:
    """Give every training by name, and whether it is a fine-tuning."""
    known = {f"{env}, tuned": tuned(env, steps) for env in TUNED}
    known["Pendulum-v1, tuned but without gSDE"] = tuned("Pendulum-v1", steps, use_sde=False)
    known |= {name: replace(case, steps=steps) for name, case in CASES.items()}
    again = {f"fine-tuned: {name}": replace(case, steps=steps) for name, case in FINETUNED.items()}
    return {**{name: (c, False) for name, c in known.items()}, **{n: (c, True) for n, c in again.items()}}


def examine(case: Case, is_finetuning: bool) -> Finding:
    """Train with both, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        if is_finetuning:
            source = save_sb3(train_sb3(case), Path(folder) / "model")
            model, theirs = timed(lambda: finetune_sb3(case, source))
            trainer, ours = timed(lambda: finetune(case, source, Path(folder) / "port")[0])
        else:
            model, theirs = timed(lambda: train_sb3(case))
            trainer, ours = timed(lambda: run(begin_ours(case)))
    return finding(trainer, model, (theirs, ours))


def finding(trainer: Trainer, model: BaseAlgorithm, seconds: tuple[float, float]) -> Finding:
    """Compare what both ended with."""
    pairs = compared(trainer, model)
    size = sum(pair.size for pair in pairs.values())
    different = {name: pair.gap for name, pair in pairs.items() if not pair.same}
    return Finding(model.num_timesteps, model._n_updates, (len(pairs), size), different, seconds)


def row(name: str, found: Finding) -> str:
    """Give a row of the table."""
    count, size = found.arrays
    result = f"differs: {found.different}" if found.different else "identical bits"
    theirs, ours = found.seconds
    return (
        f"| {name} | {found.steps:,} | {found.n_updates:,} | {size:,} in {count} arrays | {result} "
        f"| {theirs:.1f} | {ours:.1f} |"
    )


T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Give what came of some work, and the processor time it took."""
    start = time.process_time()
    return work(), time.process_time() - start


def main() -> int:
    """Print a table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="some of the cases")
    parser.add_argument("--steps", type=int, default=STEPS, help="at least so many of each training")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("| training | steps | epochs | numbers compared | result | CPU s, SB3 | CPU s, sb3port |")
    print("|---|---:|---:|---:|---|---:|---:|", flush=True)
    failed = False
    for name, case in cases(arguments.steps).items():
        if not arguments.names or name in arguments.names:
            found = examine(*case)
            failed |= bool(found.different)
            print(row(name, found), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
