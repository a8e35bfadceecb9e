"""How many environment steps a second training does in several processes, beside one.

    python benchmarks/ranks_speed.py [ENV ...] [--engine NAME ...] [--processes N ...] [--rounds N]
    torchrun --nproc-per-node 2 benchmarks/ranks_speed.py

Each round starts `torchrun` once for every number of processes, in turn, so that a busy moment hits all of
them alike. What counts is the time on the clock, since processes work side by side: the median over the
rollouts of a run without its first two, and of all rounds the median. Hyperparameters are those that
`sb3port train` takes, with enough environments for all. Under torchrun it tells what a message takes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from sb3port.ppo.ranks.base import Ranks
from sb3port.ppo.ranks.joining import join, leave
from sb3port.ppo.runs.logs import read_log

ENVS = ("Pendulum-v1", "HalfCheetah-v5")
N_ENVS = 4


def speed(env: str, engine: str, processes: int, steps: int) -> float:
    """Give the steps per second of one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("torchrun")), "--standalone"]
        command += ["--nproc-per-node", str(processes), "-m", "sb3port", "train", "--env", env]
        command += ["--engine", engine, "--n-envs", str(N_ENVS), "--steps", str(steps), "--out", folder]
        threads = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [*command, "--eval-episodes", "0", "--quiet"], check=True, capture_output=True, env=threads
        )
        rates = [row["time/fps"] for row in read_log(Path(folder) / "progress.jsonl")]
    return statistics.median(rates[2:] or rates)


def tell_of_messages(ranks: Ranks) -> None:
    """Print how long a gradient takes: that of a policy of twice 64 units, and that of a wide one."""
    for count in (10_000, 300_000):
        numbers, times = np.zeros(count, np.float32), []
        for _ in range(500):
            began = time.perf_counter()
            ranks.mean(numbers)
            times.append(time.perf_counter() - began)
        if ranks.is_first:
            print(f"the mean of {count:,} numbers takes {statistics.median(times) * 1e6:,.0f} microseconds")


def main() -> None:
    """Print a table."""
    if (ranks := join()).size > 1:
        tell_of_messages(ranks)
        leave()
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVS)
    parser.add_argument("--engine", nargs="+", default=["exact", "fast-numba"])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40_000)
    arguments = parser.parse_args()
    columns = " | ".join(f"{count}, steps/s" for count in arguments.processes)
    print(f"| environment | engine | {columns} | ratio |")
    print("|---|---|" + "---:|" * (len(arguments.processes) + 1), flush=True)
    for env in arguments.envs:
        for engine in arguments.engine:
            rounds = [
                [speed(env, engine, count, arguments.steps) for count in arguments.processes]
                for _ in range(arguments.rounds)
            ]
            ratio = statistics.median(found[-1] / found[0] for found in rounds)
            middle = [f"{statistics.median(found):,.0f}" for found in zip(*rounds, strict=True)]
            print(f"| {env} | {engine} | {' | '.join(middle)} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
