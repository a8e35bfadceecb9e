"""How many environment steps a second of training does, beside SB3 and beside the bare environment.

    python benchmarks/train_speed.py [ENV ...] [--rounds N] [--profile]

All take turns in one process, with one torch thread, so that a busy moment hits all of them alike; what
counts is the processor's time, and of all rounds the median. Both trainings keep statistics of episodes and
write CSV and JSON after each rollout. Networks are SB3's default, twice 64 tanh; other hyperparameters are
those of rl_zoo3, without gSDE. Peak memory is that of a process of its own.
"""

import argparse
import cProfile
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import gymnasium
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import configure

sys.path.insert(0, str(Path(__file__).parents[1]))
from sb3port.ppo.runs.logs import TrainingLog
from sb3port.ppo.runs.trainer import Trainer
from tests.ppo.cases import tuned
from tests.ppo.sb3 import Case, begin_ours, build_sb3

ENVS = ("Pendulum-v1", "CartPole-v1", "HalfCheetah-v5", "Hopper-v5")
FOREVER = 10**9
CHUNK_SECONDS = 1.0
RAW_STEPS = 2_000


@dataclass(frozen=True)
class Speeds:
    """Steps per second of processor time, one number per round."""

    theirs: list[float]
    ours: list[float]
    raw: list[float]

    @property
    def ratio(self) -> float:
        """How much faster ours is, round by round."""
        return statistics.median(our / their for our, their in zip(self.ours, self.theirs, strict=True))

    @property
    def share(self) -> float:
        """Which share of the bare environment's speed ours has."""
        return statistics.median(our / raw for our, raw in zip(self.ours, self.raw, strict=True))


def case_of(env: str) -> Case:
    """Give the training that is measured: no gSDE, and SB3's own networks."""
    return replace(tuned(env, FOREVER, use_sde=False), policy_kwargs={})


def measure(case: Case, rounds: int, folder: Path) -> Speeds:
    """Let SB3, our training and the bare environment take turns, after a rollout of each."""
    model, trainer = build_sb3(case), begin_ours(case)
    model.set_logger(configure(str(folder / "sb3"), ["csv", "json"]))
    (folder / "ours").mkdir()
    log = TrainingLog(folder / "ours", 0)
    rollout = trainer.settings.hyperparameters.n_steps * case.n_envs
    warm_up = (
        speed(rollout, partial(learn, model, rollout)),
        speed(rollout, partial(iterate, trainer, log, 1)),
    )
    count = max(1, round(CHUNK_SECONDS * warm_up[0] / rollout))
    speeds = Speeds([], [], [])
    for _ in range(rounds):
        speeds.theirs.append(speed(count * rollout, partial(learn, model, count * rollout)))
        speeds.ours.append(speed(count * rollout, partial(iterate, trainer, log, count)))
        speeds.raw.append(speed(RAW_STEPS, partial(step, case.env)))
    return speeds


def learn(model: BaseAlgorithm, steps: int) -> None:
    """Go on with SB3's training."""
    model.learn(steps, reset_num_timesteps=False)


def iterate(trainer: Trainer, log: TrainingLog, count: int) -> None:
    """Go on with ours."""
    for _ in range(count):
        log.write(trainer.iterate().values)


def step(env_id: str) -> None:
    """Step the environment as Gymnasium makes it, without its checks, by actions that are there already."""
    env = gymnasium.make(env_id, disable_env_checker=True)
    actions = [env.action_space.sample() for _ in range(64)]
    env.reset(seed=0)
    for number in range(RAW_STEPS):
        *_, terminated, truncated, _ = env.step(actions[number % 64])
        if terminated or truncated:
            env.reset()
    env.close()


def speed(steps: int, work: Callable[[], None]) -> float:
    """Give steps per second of processor time."""
    start = time.process_time()
    work()
    return steps / (time.process_time() - start)


# What a process runs so that it says at its end how much memory it had: the kernel's figure for children
# begins with that of the process that started them.
_TELL = """
import atexit, pathlib, sys
place, code, *sys.argv = sys.argv[1:]
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: pathlib.Path(place).write_text(status.read_text()))
exec(compile(code, "<measured>", "exec"))
"""


def peak_memory(code: str, place: Path, *arguments: str) -> float:
    """Give the peak resident memory of a process that runs some code, in MB."""
    command = [sys.executable, "-c", _TELL, str(place), code, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    (line,) = (line for line in place.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def memories(case: Case, folder: Path) -> tuple[float, float]:
    """Give the peak memory of SB3 and of ours, each in a process that does two rollouts of the training."""
    settings = {name: value for name, value in case.settings.items() if not str(value).startswith("lin_")}
    steps = 2 * int(settings.get("n_steps", 2048)) * case.n_envs
    code = (
        "from stable_baselines3 import PPO; from stable_baselines3.common.env_util import make_vec_env; "
        f"PPO('MlpPolicy', make_vec_env({case.env!r}, {case.n_envs}), device='cpu', **{settings!r})"
        f".learn({steps})"
    )
    ours = ("sb3port", "train", "--env", case.env, "--steps", str(steps), "--out", str(folder / "run"))
    place, plain = folder / "status", ("--no-use-sde", "--policy-kwargs", "{}")
    return (
        peak_memory(code, place, "sb3"),
        peak_memory("from sb3port.cli.app import app; app()", place, *ours, *plain),
    )


def row(case: Case, speeds: Speeds, memory: tuple[float, float]) -> str:
    """Give a row of the table."""
    theirs, ours = (f"{statistics.median(found):,.0f}" for found in (speeds.theirs, speeds.ours))
    megabytes = ", ".join(f"{found:,.0f}" for found in memory)
    return f"| {case.env} | {theirs} | {ours} | {speeds.ratio:.2f} | {speeds.share:.0%} | {megabytes} |"


def profile(case: Case, folder: Path) -> None:
    """Print where our time goes."""
    trainer, log = begin_ours(case), TrainingLog(folder, 0)
    iterate(trainer, log, 1)
    with cProfile.Profile() as found:
        iterate(trainer, log, 4)
    pstats.Stats(found).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", action="store_true", help="show where the time goes instead")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if not arguments.profile:
        print("| environment | steps/s: SB3 | sb3port | ratio | of the bare environment | MB: SB3, sb3port |")
        print("|---|---:|---:|---:|---:|---:|", flush=True)
    for case in map(case_of, arguments.envs):
        with tempfile.TemporaryDirectory() as folder:
            if arguments.profile:
                profile(case, Path(folder))
            else:
                found = measure(case, arguments.rounds, Path(folder))
                print(row(case, found, memories(case, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
