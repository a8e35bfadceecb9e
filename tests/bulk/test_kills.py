"""Bulk runs that are killed at any moment go on: the ledger and the folder end as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .organisation import organisation
from .runs import bulk, essence, ledger, tree

ROOT = Path(__file__).parents[2]
COUNT = 16
SCRIPT = """
import sys
from pathlib import Path
from sb3port.commands.bulk import crew
from tests.bulk import runs
crew.serve = runs.slowly
if __name__ == "__main__":
    runs.bulk(Path(sys.argv[2]), sys.argv[1])
"""


def started(script: Path, models: Path, out: Path) -> "subprocess.Popen[bytes]":
    """Start a run whose workers take their time."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, script, models, out], env=variables, cwd=ROOT, stderr=subprocess.DEVNULL
    )


def killed(script: Path, models: Path, out: Path, seconds: float) -> bool:
    """Start a run, and kill it after so many seconds of work; say whether it was still at work."""
    process = started(script, models, out)
    while process.poll() is None and not (out / ".bulk").is_dir():
        time.sleep(0.005)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.thorough)])
def test_killed_at_random_moments(tmp_path: Path, kills: int) -> None:
    models, script = tmp_path / "models", tmp_path / "script.py"
    organisation(models, COUNT)
    script.write_text(SCRIPT)
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    bulk(undisturbed, models)
    moments, interrupted = random.Random(kills), 0
    for _ in range(kills):
        if out.is_dir() and len(ledger(out) if (out / "ledger.jsonl").is_file() else ()) == COUNT:
            time.sleep(0.3)  # workers of the last run see that nobody is there
            out = tmp_path / f"out-{interrupted}"
        interrupted += killed(script, models, out, moments.uniform(0.0, 1.5))
        assert_whole(out)
    assert interrupted > kills / 2
    bulk(out, models)
    assert essence(out) == essence(undisturbed)
    assert tree(out) == tree(undisturbed)


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C keeps what is done, and leaves nothing that is not."""
    models, script, out = tmp_path / "models", tmp_path / "script.py", tmp_path / "out"
    organisation(models, 4 * COUNT)  # more than can be done before the signal comes
    script.write_text(SCRIPT)
    process = started(script, models, out)
    while not (out / "ledger.jsonl").is_file() or not ledger(out):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    done = ledger(out)
    assert 0 < len(done) < 4 * COUNT
    assert {path.name for path in out.iterdir()} == {"ledger.jsonl", "org"}
    assert len(list(out.glob("org/*/sb3port.json"))) == len(done)
    bulk(out, models)
    assert ledger(out)[: len(done)] == done
    assert len(ledger(out)) == 4 * COUNT


def assert_whole(out: Path) -> None:
    """Assert that whatever lies where ports are put is a whole one."""
    for folder in out.glob("org/*"):
        assert {"config.json", "model.safetensors", "sb3port.json", "README.md"} <= {
            p.name for p in folder.iterdir()
        }
