"""How many environment steps a second of training does, by every engine, beside SB3 and the environment.

    python benchmarks/train_speed.py [ENV ...] [--engines NAME ...] [--rounds N] [--profile]
                                     [--other NAME=COMMAND]

All take turns in one process, with one torch thread, so that a busy moment hits all of them alike; what
counts is the processor's time, and of all rounds the median. All trainings keep statistics of episodes and
write CSV and JSON after each rollout. Networks are SB3's default, twice 64 tanh; other hyperparameters are
those of rl_zoo3, without gSDE. Peak memory, start-up and compiling are those of processes of their own.

Other trainers need environments of their own, and are commands in which `{env}`, `{steps}` and so on stand
for the training's numbers: `benchmarks/others/README.md` has those of SBX, CleanRL and LeanRL. Each is run
with few and with many steps, so that its start-up cancels out.
"""

import argparse
import cProfile
import json
import os
import pstats
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

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
ENGINES = ("exact", "fast-numpy", "fast-numba")
SB3, BARE = "SB3", "the bare environment"
FOREVER = 10**9
CHUNK_SECONDS = 1.0
RAW_STEPS = 2_000


@dataclass(frozen=True)
class Speeds:
    """Steps per second of processor time, one number per round, by who takes them."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def add(self, who: str, steps: int, work: Callable[[], None]) -> None:
        """Measure a round of one."""
        self.found.setdefault(who, []).append(speed(steps, work))

    def median(self, who: str) -> float:
        """Give the median of the rounds of one."""
        return statistics.median(self.found[who])

    def ratio(self, who: str, other: str) -> float:
        """Give how much faster one is than another, round by round."""
        pairs = zip(self.found[who], self.found[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


def case_of(env: str) -> Case:
    """Give the training that is measured: no gSDE, and SB3's own networks."""
    return replace(tuned(env, FOREVER, use_sde=False), policy_kwargs={})


def measure(case: Case, engines: list[str], rounds: int, folder: Path) -> Speeds:
    """Let SB3, our engines and the bare environment take turns, after a rollout of each."""
    model = build_sb3(case)
    model.set_logger(configure(str(folder / "sb3"), ["csv", "json"]))
    size, works = int(model.n_steps) * case.n_envs, {SB3: partial(learn, model)}
    for engine in engines:
        trainer = begin_ours(replace(case, engine=engine))
        (folder / engine).mkdir()
        works[engine] = partial(iterate, trainer, TrainingLog(folder / engine, 0), size)
    chunks = {who: chunk(size, work) for who, work in works.items()}
    speeds = Speeds()
    for _ in range(rounds):
        for who, work in works.items():
            speeds.add(who, chunks[who], partial(work, chunks[who]))
        speeds.add(BARE, RAW_STEPS, partial(step, case.env))
    return speeds


def chunk(size: int, work: Callable[[int], None]) -> int:
    """Give how many steps, in whole rollouts, take about `CHUNK_SECONDS`; the first rollout warms up."""
    work(size)
    return size * max(1, round(CHUNK_SECONDS * speed(size, partial(work, size)) / size))


def learn(model: BaseAlgorithm, steps: int) -> None:
    """Go on with SB3's training."""
    model.learn(steps, reset_num_timesteps=False)


def iterate(trainer: Trainer, log: TrainingLog, size: int, steps: int) -> None:
    """Go on with ours."""
    for _ in range(steps // size):
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


def told(case: Case) -> dict[str, Any]:
    """Give the settings that every trainer knows; schedules at their beginning."""
    return {name: _number(value) for name, value in case.settings.items()}


def _number(value: Any) -> Any:
    return float(value.removeprefix("lin_")) if str(value).startswith("lin_") else value


_SB3 = """
import sys, json
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
env, n_envs, steps, settings = sys.argv[1:]
PPO("MlpPolicy", make_vec_env(env, int(n_envs)), device="cpu", **json.loads(settings)).learn(int(steps))
"""


def memory_of(case: Case, who: str, folder: Path) -> float:
    """Give the peak memory of a process that does two rollouts, in MB."""
    place, settings = folder / "status", told(case)
    steps = str(2 * int(settings.get("n_steps", 2048)) * case.n_envs)
    if who == SB3:
        return peak_memory(_SB3, place, "sb3", case.env, str(case.n_envs), steps, json.dumps(settings))
    out = str(folder / f"memory of {who}")
    arguments = ("sb3port", "train", "--env", case.env, "--steps", steps, "--out", out, "--engine", who)
    plain = ("--no-use-sde", "--policy-kwargs", "{}", "--eval-episodes", "0")
    return peak_memory("from sb3port.cli.app import app; app()", place, *arguments, *plain)


def compiling(case: Case, folder: Path) -> tuple[float, float]:
    """Give the processor time of a short run whose kernels are compiled, and of one that finds them, in s."""
    code = (
        "import sys; sys.path.insert(0, '.'); from dataclasses import replace; "
        "from benchmarks.train_speed import case_of; from tests.ppo.sb3 import begin_ours; "
        f"begin_ours(replace(case_of({case.env!r}), engine='fast-numba')).iterate()"
    )
    env = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "kernels")}
    first, second = (cpu_seconds([sys.executable, "-c", code], env) for _ in range(2))
    return first, second


def cpu_seconds(command: list[str], env: dict[str, str] | None = None) -> float:
    """Run a command, and give its processor time."""
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)[:200]} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def other_speed(case: Case, command: str) -> float:
    """Give the steps per second of another trainer: many steps less few."""
    settings = {"n_steps": 2048, "batch_size": 64, "n_epochs": 10, **told(case)}
    size = settings["n_steps"] * case.n_envs
    settings |= {"minibatches": size // settings["batch_size"]}
    few, many = 4 * size, 4 * size + max(1, 20_000 // size) * size
    seconds = [
        cpu_seconds(
            [
                word.format(
                    env=case.env,
                    env_v4=case.env.replace("-v5", "-v4"),
                    steps=steps,
                    n_envs=case.n_envs,
                    settings=json.dumps(told(case)),
                    **settings,
                )
                for word in shlex.split(command)
            ]
        )
        for steps in (few, many)
    ]
    return (many - few) / (seconds[1] - seconds[0])


def rows(case: Case, speeds: Speeds, others: dict[str, str], folder: Path) -> list[str]:
    """Give the rows of the table for an environment."""
    found, base = [], "exact" if "exact" in speeds.found else SB3
    for who in speeds.found:
        if who == BARE:
            continue
        cells = [
            f"{speeds.median(who):,.0f}",
            f"{speeds.ratio(who, SB3):.2f}",
            f"{speeds.ratio(who, base):.2f}",
        ]
        cells += [f"{speeds.ratio(who, BARE):.0%}", f"{memory_of(case, who, folder):,.0f}"]
        found.append(f"| {case.env} | {who} | {' | '.join(cells)} |")
    for who, command in others.items():
        rate = other_speed(case, command)
        ratios = [f"{rate / speeds.median(name):.2f}" for name in (SB3, base)]
        share = f"{rate / speeds.median(BARE):.0%}"
        found.append(f"| {case.env} | {who} | {rate:,.0f} | {ratios[0]} | {ratios[1]} | {share} | |")
    return found


def profile(case: Case, folder: Path) -> None:
    """Print where our time goes."""
    trainer, log = begin_ours(case), TrainingLog(folder, 0)
    size = trainer.settings.hyperparameters.n_steps * case.n_envs
    iterate(trainer, log, size, size)
    with cProfile.Profile() as found:
        iterate(trainer, log, size, max(4, 8192 // size) * size)
    pstats.Stats(found).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVS)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--other", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument(
        "--profile", action="store_true", help="show where the time of each engine goes instead"
    )
    arguments = parser.parse_args()
    others = dict(other.split("=", 1) for other in arguments.other)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cases = [case_of(env) for env in arguments.envs]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.profile:
            for number, (case, engine) in enumerate((c, e) for c in cases for e in arguments.engines):
                (Path(folder) / str(number)).mkdir()
                profile(replace(case, engine=engine), Path(folder) / str(number))
            return
        print("| environment | | steps / CPU s | x SB3 | x exact | of the bare environment | peak MB |")
        print("|---|---|---:|---:|---:|---:|---:|", flush=True)
        for case in cases:
            place = Path(folder) / case.env
            place.mkdir()
            found = measure(case, arguments.engines, arguments.rounds, place)
            print("\n".join(rows(case, found, others, place)), flush=True)
        if "fast-numba" in arguments.engines:
            first, later = compiling(cases[0], Path(folder))
            print(f"\nCompiling takes {first - later:.0f} s of processor time, once per machine.")


if __name__ == "__main__":
    main()
