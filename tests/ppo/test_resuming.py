"""A training that was cut off and resumed is the undisturbed one, to the bit."""

import contextlib
import csv
import io
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Outcome, Watcher, train
from tests.plugin import environments  # noqa: F401 (registers them)

from .cases import LSTM, masked
from .sb3 import Case, assert_same, begin_ours, build_sb3, run

TINY = {"n_steps": 50, "batch_size": 32, "n_epochs": 2}
RUN = {"eval_episodes": 1, "seed": 5}
# Hopper is normalised, brings back the state of MuJoCo, and its episodes begin at random.
HOPPER = RunOptions("Hopper-v5", TINY, steps=3000, n_envs=2, save_every=100, run=RUN)
CASES = {
    "gSDE": (RunOptions("Pendulum-v1", {**TINY, "use_sde": True}, 600, 2, save_every=100, run=RUN), "ppo"),
    "Box2D": (RunOptions("LunarLander-v3", TINY, 600, 2, save_every=100, run=RUN), "ppo"),
    "recurrent": (RunOptions("CartPole-v1", TINY, 400, 2, save_every=100, run=RUN), "ppo_lstm"),
    "fast, in NumPy": (
        RunOptions(
            "Pendulum-v1",
            {**TINY, "use_sde": True, "sde_sample_freq": 4},
            600,
            2,
            save_every=100,
            run={**RUN, "engine": "fast-numpy"},
        ),
        "ppo",
    ),
    "fast, in Numba": (
        RunOptions("LunarLander-v3", TINY, 600, 2, save_every=100, run={**RUN, "engine": "fast-numba"}),
        "ppo",
    ),
    "in processes": (
        RunOptions("Pendulum-v1", TINY, 400, 2, save_every=100, run={**RUN, "vec_env": "subproc"}),
        "ppo",
    ),
}


FRAMES = "Pendulum-v1:\n  frame_stack: 3\n  normalize: true\n  policy: MlpPolicy\n"


def run_fresh(options: RunOptions, out: Path, algorithm: str = "ppo") -> Outcome:
    trainer = begin_training(options, PolicyOptions(algorithm), lambda _: None)
    return train(trainer, None, out, Watcher())


def run_on(path: Path) -> Outcome:
    warnings: list[str] = []
    outcome = train(*resume(path, warnings.append), Watcher())
    assert warnings == []
    return outcome


def same_checkpoints(one: Path, other: Path) -> None:
    """Compare every file of two checkpoints, byte for byte."""
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def same_runs(whole: Path, cut: Path) -> None:
    """Compare the last checkpoint, the choice of the best one, and the logs but for the clock."""
    same_checkpoints(whole / "checkpoints/last", cut / "checkpoints/last")
    for link in ("last", "best"):
        names = [(run / "checkpoints" / link).resolve().name for run in (whole, cut)]
        assert names[0] == names[1]
    assert _without_times(whole) == _without_times(cut)
    assert not [path for path in (cut / "checkpoints").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", CASES)
def test_every_checkpoint_leads_to_the_same_end(name: str, tmp_path: Path) -> None:
    options, algorithm = CASES[name]
    whole, again = tmp_path / "whole", tmp_path / "again"
    run_fresh(options, whole, algorithm)
    run_fresh(options, again, algorithm)
    same_runs(whole, again)
    run_on(sorted((again / "checkpoints").glob("0*"))[1])
    same_runs(whole, again)


def test_frames_that_were_normalised_before_stay_so(tmp_path: Path) -> None:
    """The older frames of a stack were normalised by statistics that are gone."""
    (tmp_path / "ppo.yml").write_text(FRAMES)
    options = RunOptions("Pendulum-v1", TINY, 400, 2, save_every=100, config=tmp_path / "ppo.yml", run=RUN)
    whole, again = tmp_path / "whole", tmp_path / "again"
    run_fresh(options, whole)
    port = read_port(whole / "checkpoints/last/pretrained_model")
    assert port.normalizer is not None
    assert port.normalizer.statistics[""].mean.shape == (3,)
    assert port.spec.observation_space.shape == (9,)
    run_fresh(options, again)
    run_on(sorted((again / "checkpoints").glob("0*"))[1])
    same_runs(whole, again)


GOING_ON = {
    "schedules": Case(
        "CartPole-v1", 256, 2, settings={**TINY, "learning_rate": "lin_0.001", "clip_range": "lin_0.2"}
    ),
    "gSDE, normalised": Case("Pendulum-v1", 200, 2, normalise={}, settings={**TINY, "use_sde": True}),
    "recurrent": Case("CartPole-v1", 200, 2, "ppo_lstm", policy_kwargs=LSTM, settings=TINY),
    "maskable": masked("vector-discrete"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if case.algorithm != "ppo" else [])
        for name, case in GOING_ON.items()
    ],
)
def test_going_on_is_what_sb3_does(name: str, tmp_path: Path) -> None:
    """Beyond the end, in the middle of episodes, with schedules as shares of all steps that are done then."""
    case, more = GOING_ON[name], 300
    torch.set_num_threads(1)
    trainer = begin_ours(case)
    trainer.settings = replace(trainer.settings, eval_episodes=0, save_every=10**6)
    ended = train(trainer, None, tmp_path, Watcher()).steps
    said: list[str] = []
    trainer = run(resume(tmp_path, said.append, case.env, until=ended + more)[0])
    theirs = build_sb3(case).learn(case.steps).learn(more, reset_num_timesteps=False)
    assert_same(trainer, theirs)
    changes = [text for text in said if "learning_rate, clip_range, by the share of steps" in text]
    assert len(changes) == (name == "schedules")
    assert len(said) == len(changes)


def test_going_on_is_one_longer_run(tmp_path: Path) -> None:
    """Where nothing changes with the share of the training that remains."""
    options = replace(HOPPER, steps=200, run={"eval_episodes": 0, "seed": 5})
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_fresh(replace(options, steps=400), whole)
    run_fresh(options, cut)
    train(*resume(cut, lambda _: None, until=400), Watcher())
    same_checkpoints(whole / "checkpoints/last", cut / "checkpoints/last")
    assert _without_times(whole) == _without_times(cut)


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_is_cut_off_ten_times_is_the_undisturbed_one(tmp_path: Path, number: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_fresh(HOPPER, whole)
    chance, cuts = random.Random(0), 0
    while _steps(cut) < 3000:
        process = _forked(lambda: run_on(cut) if _steps(cut) else run_fresh(HOPPER, cut))
        cuts += _cut(process, cut, chance, number) if cuts < 10 else 0
        process.join(timeout=120)
        assert process.exitcode in (0, -number)
    assert cuts == 10
    same_runs(whole, cut)


def _forked(work: Callable[[], Any]) -> multiprocessing.Process:
    """Work in a process that has all imports done."""

    def quiet() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            work()

    process = multiprocessing.get_context("fork").Process(target=quiet)
    process.start()
    return process  # type: ignore[return-value]


def _cut(process: multiprocessing.Process, out: Path, chance: random.Random, number: int) -> int:
    """End a training at a random moment after its next checkpoint."""
    before, deadline = _steps(out), time.monotonic() + 60
    while _steps(out) == before and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.06))
    assert process.pid is not None
    os.kill(process.pid, number)
    return 1


def _steps(out: Path) -> int:
    last = out / "checkpoints" / "last"
    return int(last.resolve().name) if last.exists() else 0


def _without_times(out: Path) -> list[dict[str, str]]:
    with (out / "progress.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("time/fps", "time/time_elapsed")} for row in rows]
