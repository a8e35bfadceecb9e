"""How long the command line takes from the shell's prompt and back, and where the time goes.

    python benchmarks/startup.py [SOURCE] [--runs N]

Every figure is the median of N processes, started in turn so that a busy moment hits all of them alike.
Ratios are to the import of torch, which any tool that runs a policy has to pay.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "fixtures/hub/sb3port/ppo-Pendulum-v1/ppo-Pendulum-v1.zip"
CLI = ("-m", "sb3port")


def commands(source: Path, folder: Path) -> dict[str, tuple[str, ...]]:
    """Name the processes that are measured."""
    imports = {
        "torch": "torch",
        "torch, SB3": "torch, stable_baselines3",
        "torch, LeRobot": "torch, lerobot.policies.factory",
        "torch, SB3, LeRobot": "torch, stable_baselines3, lerobot.policies.factory",
    }
    convert = (*CLI, "convert", str(source), str(folder / "port"), "--force", "-q")
    return {
        "python -c pass": ("-c", "pass"),
        "sb3port --help": (*CLI, "--help"),
        "sb3port inspect": (*CLI, "inspect", str(source)),
        "sb3port convert --no-verify": (*convert, "--no-verify"),
        "sb3port convert": convert,
        "PPO.load": ("-c", f"from stable_baselines3 import PPO; PPO.load({str(source)!r}, device='cpu')"),
        **{f"import {name}": ("-c", f"import {modules}") for name, modules in imports.items()},
    }


def seconds(arguments: tuple[str, ...]) -> float:
    """Time one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, default=FIXTURE)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = commands(arguments.source, Path(folder))
        times: dict[str, list[float]] = {name: [] for name in measured}
        for _ in range(arguments.runs):
            for name, command in measured.items():
                times[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<30}{value:8.2f} s{value / medians['import torch']:8.2f} x import torch")


if __name__ == "__main__":
    main()
