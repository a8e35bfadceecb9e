"""A training that was cut off and resumed is the undisturbed one, to the bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-W", "ignore", "-m", "sb3port", "train", "--quiet")
# Hopper is normalised and restores the state of MuJoCo; its episodes end, and begin at random.
SETTINGS = (
    *("--env", "Hopper-v5", "--steps", "3000", "--n-envs", "2", "--n-steps", "50", "--batch-size", "32"),
    *("--n-epochs", "2", "--save-every", "100", "--eval-episodes", "1"),
)


def same_folders(one: Path, other: Path) -> None:
    """Compare every file of two checkpoints, byte for byte."""
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def steps_done(out: Path) -> int:
    last = out / "checkpoints" / "last"
    return int(last.resolve().name) if last.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_is_cut_off_again_and_again_is_the_undisturbed_one(tmp_path: Path, number: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run([*COMMAND, *SETTINGS, "--out", whole], check=True, timeout=300)
    chance, cuts = random.Random(0), 0
    while steps_done(cut) < 3000:
        arguments = ["--resume", cut] if steps_done(cut) else [*SETTINGS, "--out", cut]
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
        cuts += _cut(process, cut, chance, number) if cuts < 10 else 0
        process.wait(timeout=300)
    assert cuts >= (10 if number == signal.SIGKILL else 1)
    same_folders(whole / "checkpoints" / "last", cut / "checkpoints" / "last")
    assert steps_done(whole) == steps_done(cut) == 3000
    assert (whole / "checkpoints" / "best").resolve().name == (cut / "checkpoints" / "best").resolve().name
    assert _without_times(whole) == _without_times(cut)
    assert not [path for path in (cut / "checkpoints").iterdir() if path.name.startswith(".")]


def _cut(process: "subprocess.Popen[bytes]", out: Path, chance: random.Random, number: int) -> int:
    """End a training at a random moment after it has begun to do something."""
    before, deadline = steps_done(out), time.monotonic() + 120
    while steps_done(out) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.1))
    if process.poll() is not None:
        return 0
    os.kill(process.pid, number)
    return 1


def _without_times(out: Path) -> list[str]:
    """The log, but for what depends on the clock."""
    rows = (out / "progress.csv").read_text().splitlines()
    clock = rows[0].split(",").index("time/fps")
    return [",".join(cell for index, cell in enumerate(row.split(",")) if index != clock) for row in rows]
