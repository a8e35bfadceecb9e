"""How long commands take from the shell's prompt and back, and where the time goes.

    python benchmarks/startup.py [SOURCE] [--runs N] [--only WORD]

Every figure is the median of N processes, started in turn so that a busy moment hits all of them alike.
Ratios are to the import of torch, which any tool that runs a policy has to pay; those of `verify` and
`convert`, which let LeRobot load the port, to the import of LeRobot.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "fixtures/hub/sb3port/ppo-Pendulum-v1/ppo-Pendulum-v1.zip"
CLI = ("-m", "sb3port")
PREDICT = """
import sys, numpy, sb3port
sb3port.load_policy(sys.argv[1], sys.argv[2]).predict(numpy.zeros(3, numpy.float32))
"""
NUMPY = "import numpy"
TORCH, LEROBOT = "import torch", "import LeRobot"
# Of what a command may take at most: what it is compared with, and the ratio.
BARS = {
    "sb3port --help": (TORCH, 0.08),
    "load_policy, numpy": (TORCH, 0.15),
    "sb3port inspect": (TORCH, 0.27),
    "sb3port inspect --sandbox": (TORCH, 0.32),
    "sb3port convert --no-verify": (TORCH, 0.27),
    "sb3port train, one rollout": (TORCH, 1.5),
    "sb3port eval, one episode": (TORCH, 1.5),
    "sb3port record, one episode": (TORCH, 1.5),
    "sb3port export --to sb3": (TORCH, 1.9),
    "sb3port repair": (TORCH, 1.9),
    "sb3port verify --no-reload": (TORCH, 1.9),
    "sb3port verify": (LEROBOT, 1.15),
    "sb3port convert": (LEROBOT, 1.15),
}


def commands(source: Path, folder: Path) -> dict[str, tuple[str, ...]]:
    """Name the processes that are measured."""
    port, recording = str(folder / "port"), str(folder / "recording.npz")
    convert = (*CLI, "convert", str(source), port, "--force", "-q")
    one = ("--env", "Pendulum-v1", "--episodes", "1", "-q")
    train = (
        "--env",
        "Pendulum-v1",
        "--steps",
        "64",
        "--n-steps",
        "64",
        "--n-envs",
        "1",
        "--eval-episodes",
        "0",
    )
    return {
        "python -c pass": ("-c", "pass"),
        "sb3port --help": (*CLI, "--help"),
        "sb3port inspect": (*CLI, "inspect", str(source)),
        "sb3port inspect --sandbox": (*CLI, "inspect", str(source), "--sandbox"),
        "sb3port convert --no-verify": (*convert, "--no-verify"),
        "sb3port train, one rollout": (*CLI, "train", *train, "-q", "--out", str(folder / "run{run}")),
        "sb3port eval, one episode": (*CLI, "eval", port, *one),
        "sb3port record, one episode": (*CLI, "record", port, *one, "--out", recording, "--force"),
        "sb3port export --to sb3": (
            *CLI,
            "export",
            port,
            str(folder / "sb3"),
            "--to",
            "sb3",
            "--force",
            "-q",
        ),
        "sb3port repair": (*CLI, "repair", str(source), str(folder / "repaired"), "--force", "-q"),
        "sb3port verify --no-reload": (*CLI, "verify", port, "--no-reload", "-q"),
        "sb3port verify": (*CLI, "verify", port, "-q"),
        "sb3port convert": convert,
        "load_policy, numpy": ("-c", PREDICT, port, "numpy"),
        "load_policy, torch": ("-c", PREDICT, port, "torch"),
        NUMPY: ("-c", "import numpy"),
        "PPO.load": ("-c", f"from stable_baselines3 import PPO; PPO.load({str(source)!r}, device='cpu')"),
        TORCH: ("-c", "import torch"),
        "import torch, SB3": ("-c", "import torch, stable_baselines3, sb3_contrib"),
        LEROBOT: ("-c", "import lerobot.policies.factory, lerobot_policy_ppo.modeling_ppo"),
    }


def seconds(arguments: tuple[str, ...], run: int) -> float:
    """Time one process, which has torch on one thread."""
    command = [sys.executable, *(word.replace("{run}", str(run)) for word in arguments)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - start


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, default=FIXTURE)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="measure only commands with this word, beside the imports")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        named = commands(arguments.source, Path(folder))
        seconds(named["sb3port convert --no-verify"], 0)  # the port that others need
        wanted = {n: c for n, c in named.items() if arguments.only in n or n in (TORCH, LEROBOT)}
        times: dict[str, list[float]] = {name: [] for name in wanted}
        for run in range(arguments.runs):
            for name, command in wanted.items():
                times[name].append(seconds(command, run))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{'':<30}{'seconds':>9}{'/ torch':>9}{'/ LeRobot':>11}   at most")
    for name, value in medians.items():
        against, bar = BARS.get(name, ("", 0.0))
        told = f"   {bar} {'met' if value <= bar * medians[against] else 'MISSED'}" if against else ""
        print(f"{name:<30}{value:>9.2f}{value / medians[TORCH]:>9.2f}{value / medians[LEROBOT]:>11.2f}{told}")


if __name__ == "__main__":
    main()
