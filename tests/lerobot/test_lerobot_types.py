"""An environment of LeRobot's kind: trained in by one command, which the real `lerobot-eval` repeats."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[2] / "docs" / "agent_pendulum"
ENV = ("--env.discover_packages_path=agent_pendulum", "--env.type=pendulum")
TINY = ("--steps", "1024", "--n-envs", "2", "--n-steps", "128", "--gamma", "0.9", "--eval-episodes", "1")
SEED = 1000


def run(command: str, *words: str, folder: Path) -> str:
    path = Path(sys.executable).with_name(command)
    variables = {**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [path, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_one_command_trains_and_lerobot_gives_the_same(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "agent_pendulum")
    run("sb3port", "train", *ENV, *TINY, "--out", "run", folder=tmp_path)
    port = "run/checkpoints/last/pretrained_model"
    words = ("--seed", str(SEED), "--episodes", "1", "--json")
    ours = json.loads(run("sb3port", "eval", port, *ENV, *words, folder=tmp_path))
    run(
        "lerobot-eval",
        f"--policy.path={port}",
        "--policy.device=cpu",
        *ENV,
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
        "--eval.recording=true",  # which draws no frames
        f"--seed={SEED}",
        "--output_dir=out",
        folder=tmp_path,
    )
    theirs = json.loads((tmp_path / "out" / "eval_info.json").read_text())["per_task"][0]["metrics"]
    assert theirs["sum_rewards"] == pytest.approx([ours["mean_return"]], rel=1e-12)
    assert theirs["successes"] == [ours["episodes"][0]["success"]]
