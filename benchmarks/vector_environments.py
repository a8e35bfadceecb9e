"""How many steps a second every way of stepping environments does, without a policy.

    python benchmarks/vector_environments.py [ENV ...] [--counts N ...] [--rounds N]

Every way takes turns with the others, by actions at random that are there already, with episodes' statistics
as a training keeps them; of all rounds the fastest, by the clock, because processes and threads have clocks
of their own. The last column is what a message to a process and its answer cost: the number that
`sb3port/ppo/runs/stepping.py` reckons with.
"""

import argparse
import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.errors import UsageError
from sb3port.ppo.hyperparameters import defaults
from sb3port.ppo.rollout.environments import Environments
from sb3port.ppo.runs.settings import RunSettings
from sb3port.ppo.runs.stepping import make_environments

COUNTS = (1, 8, 64, 1024)
ENVS = {
    "benchmarks.vector_pendulum:VectorPendulum-v1": COUNTS,
    "CartPole-v1": COUNTS,
    "HalfCheetah-v5": COUNTS[:2],
}
WAYS = ("dummy", "subproc", "vector", *(("envpool",) if find_spec("envpool") else ()))
SECONDS = 0.3
MOST_PROCESSES = 16


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVS)
    parser.add_argument("--counts", type=int, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"| environment | how many | {' | '.join(WAYS)} | us a message |")
    print(f"|---|---:|{'---:|' * len(WAYS)}---:|", flush=True)
    for env_id in arguments.envs:
        for count in arguments.counts or ENVS.get(env_id, COUNTS):
            print(row(env_id, count, arguments.rounds), flush=True)


def row(env_id: str, count: int, rounds: int) -> str:
    """Measure every way that there is."""
    made = {way: found for way in WAYS if (found := made_of(env_id, count, way)) is not None}
    speeds: dict[str, list[float]] = {way: [] for way in made}
    for _ in range(rounds):
        for way, envs in made.items():
            speeds[way].append(speed(envs))
    found = {way: max(speeds[way]) for way in made}
    for envs in made.values():
        envs.close()
    cells = [f"{found[way]:,.0f}" if way in found else "" for way in WAYS]
    message = f"{1e6 / found['subproc'] - 1e6 / found['dummy'] / 2:.0f}" if "subproc" in found else ""
    return f"| {env_id.rpartition(':')[2]} | {count} | {' | '.join(cells)} | {message} |"


def made_of(env_id: str, count: int, way: str) -> Environments | None:
    """Make environments, None where there are none of this kind."""
    name = "Pendulum-v1" if way == "envpool" and "Pendulum" in env_id else env_id
    if way == "subproc" and count > MOST_PROCESSES:
        return None
    try:
        envs = make_environments(RunSettings(EnvironmentSpec(name), 1, defaults("ppo"), count, way))
    except UsageError:
        return None
    envs.reset(0)
    return envs


def speed(envs: Environments) -> float:
    """Give steps per second."""
    actions = [np.stack([envs.action_space.sample() for _ in range(envs.count)]) for _ in range(8)]
    steps, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < SECONDS:
        envs.step(actions[steps % 8])
        steps += 1
    return steps * envs.count / taken


if __name__ == "__main__":
    main()
