"""The command line under the real torchrun: one process writes and speaks, and all of them end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sb3port.ppo.runs.logs import read_log

pytestmark = pytest.mark.long
TINY = ("--env", "CartPole-v1", "--n-envs", "4", "--n-steps", "32", "--batch-size", "32", "--n-epochs", "2")
ENDLESS = ("--steps", "1e7", "--save-every", "256", "--eval-episodes", "0", "--engine", "fast-numpy")


def torchrun(size: int, *arguments: object) -> subprocess.Popen[str]:
    command = [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node", size]
    return subprocess.Popen(
        [str(word) for word in (*command, "-m", "sb3port", *arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def until(path: Path) -> None:
    """Wait until there is something."""
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} does not come")


def sentences(stderr: str) -> list[str]:
    """Give what we say ourselves of an error; torchrun has its own words for it."""
    assert "sb3port/sb3port/" not in stderr, "a traceback of ours"
    return [line for line in stderr.splitlines() if line.startswith("error: ")]


def test_train_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    trackers = ("--track", "tensorboard", "--track", "wandb")
    more = ("--steps", 512, "--eval-episodes", 1, *trackers, "--out", tmp_path / "run", "--json")
    run = torchrun(2, "train", *TINY, *more)
    out, err = run.communicate(timeout=300)
    assert run.returncode == 0, err
    assert json.loads(out)["steps"] == 512
    assert err.count("ranks   2 processes with 2 environments each; SB3's bits are those of one process") == 1
    assert [row["time/total_timesteps"] for row in read_log(tmp_path / "run" / "progress.jsonl")] == [
        128,
        256,
        384,
        512,
    ]
    (events,) = (tmp_path / "run" / "tensorboard").glob("*/*")
    assert events.parent.name == "PPO_1"
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    assert [event.step for event in accumulator.Scalars("train/loss")] == [128, 256, 384, 512]
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))) == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--n-envs", "3"), "n_envs is 3, of all processes together, which does not divide among 2"),
        (
            ("--batch-size", "33"),
            "batch_size is 33, of all processes together, which does not divide among 2",
        ),
        (("--device", "mps"), "several processes do not train on mps"),
        (("--n-steps", "none"), "--n-steps is 'none', which is no whole number"),
        (("--env", "Nowhere-v0"), "Nowhere"),
    ],
)
def test_wrong_words_are_said_once(words: tuple[str, str], said: str, tmp_path: Path) -> None:
    run = torchrun(2, "train", *TINY, *words, "--out", tmp_path / "run")
    out, err = run.communicate(timeout=300)
    assert (run.returncode, out) == (1, "")
    (sentence,) = sentences(err)
    assert said in sentence
    assert "exitcode  : 2" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_a_signal_ends_all_after_the_update(tmp_path: Path) -> None:
    run = torchrun(2, "train", *TINY, *ENDLESS, "--out", tmp_path / "run")
    until(tmp_path / "run" / "checkpoints" / "last")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=300)
    assert "port    " in out
    assert sentences(err) == []
    rows = read_log(tmp_path / "run" / "progress.jsonl")
    last = (tmp_path / "run" / "checkpoints" / "last").resolve().name
    assert rows[-1]["time/total_timesteps"] == int(last)


@pytest.mark.thorough
@pytest.mark.parametrize("which", [0, 2])
def test_a_killed_process_ends_all_with_a_sentence(which: int, tmp_path: Path) -> None:
    run = torchrun(3, "train", *TINY, "--n-envs", 6, "--batch-size", 48, *ENDLESS, "--out", tmp_path / "run")
    until(tmp_path / "run" / "checkpoints" / "last")
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    if not children.exists():
        run.kill()
        pytest.skip("children are not listed here")
    os.kill(sorted(map(int, children.read_text().split()))[which], signal.SIGKILL)
    out, err = run.communicate(timeout=300)
    assert (run.returncode, out) == (1, "")
    (sentence,) = sentences(err)
    assert sentence == "error: another process of this training has ended, or cannot be reached any more"
    assert f"with: sb3port train --resume {tmp_path / 'run'}" in err
    more = ("train", "--resume", tmp_path / "run", "--steps", int(1e4), "--json")
    again = torchrun(2, *more)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert json.loads(out)["steps"] >= 1e4
    assert "the run had 3 process(es) and goes on in 2" in err
