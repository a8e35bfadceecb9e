"""The commands of docs/environments.md run one after the other, and the policies are better than chance."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "environments.md").read_text(encoding="utf-8")
# Those of the example, and those of LeRobot's environments.
EXAMPLE, LEROBOTS = (
    [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.strip().splitlines()]
    for text in PAGE.split("## LeRobot's own environments")
)


def run(command: str, folder: Path) -> str:
    """Run a command as a user does, in the folder of the environment, which is nowhere on Python's path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, (command, done.stdout[-1000:], done.stderr[-3000:])
    return done.stdout + done.stderr


def mean_return(folder: Path, port: str) -> float:
    arguments = "--env hover:Hover-v0 --episodes 5 --seed 100 --json"
    return float(json.loads(run(f"sb3port eval {port} {arguments} 2>/dev/null", folder))["mean_return"])


def test_from_a_class_to_policies(tmp_path: Path) -> None:
    shutil.copy(DOCS / "hover.py", tmp_path)
    look, chance, train, lerobot_eval, record, clone, evaluate = EXAMPLE
    assert "avg_sum_reward" in run(look, tmp_path)
    returns = json.loads(run(f"{chance} --json 2>/dev/null", tmp_path))["returns"]
    by_chance = sum(returns) / len(returns)
    run(train, tmp_path)
    assert "avg_sum_reward" in run(lerobot_eval, tmp_path)
    trained = mean_return(tmp_path, "runs/hover/checkpoints/last/pretrained_model")
    assert trained > by_chance + 50
    run(record, tmp_path)
    run(clone, tmp_path)
    run(evaluate, tmp_path)
    info = json.loads((tmp_path / "outputs" / "eval" / "eval_info.json").read_text())
    assert info["overall"]["avg_sum_reward"] > by_chance + 30


def test_pendulum_as_lerobot_wants_it(tmp_path: Path) -> None:
    """What is trained from nothing by one command earns more than -250 in LeRobot, and the same in ours."""
    shutil.copytree(DOCS / "agent_pendulum", tmp_path / "agent_pendulum")
    train, evaluate, lerobot_eval, plain = LEROBOTS
    run(train, tmp_path)
    ours = json.loads(run(f"{evaluate} --json 2>/dev/null", tmp_path))
    run(lerobot_eval, tmp_path)
    theirs = json.loads((tmp_path / "outputs/agent/eval_info.json").read_text())["overall"]
    assert theirs["avg_sum_reward"] == pytest.approx(ours["mean_return"], rel=1e-12)
    assert theirs["avg_sum_reward"] > -250
    assert theirs["pc_success"] == pytest.approx(100 * ours["success_rate"])
    run(plain, tmp_path)
    weights = ("runs/agent", "runs/gymnasium")
    one, other = (
        tmp_path / folder / "checkpoints/last/pretrained_model/model.safetensors" for folder in weights
    )
    assert one.read_bytes() == other.read_bytes()


def test_the_page_shows_what_the_example_is() -> None:
    source = (DOCS / "hover.py").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for name in re.findall(r"def (\w+)|class (\w+)", snippet):
        assert re.search(rf"(def|class) {''.join(name)}\b", source)
    assert 'gym.register("Hover-v0", entry_point=Hover' in source
