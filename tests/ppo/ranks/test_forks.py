"""Several processes that train together by gloo: they end alike, and go on in another number."""

import os
import shutil
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands.train import begin_training
from sb3port.commands.training_arguments import PolicyOptions, RunOptions
from sb3port.errors import RankLost
from sb3port.ports.reading import read_port
from sb3port.ppo.ranks.base import ALONE, Ranks
from sb3port.ppo.runs.callbacks import Training, TrainingCallback
from sb3port.ppo.runs.logs import read_log
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train
from sb3port.ppo.runs.trainer import Trainer
from sb3port.ppo.runs.training_state import read_state
from tests.ppo.ranks.meeting import in_forks

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="ranks are forks of this process"),
]
TINY = {"n_steps": 40, "batch_size": 32, "n_epochs": 2}
OPTIONS = RunOptions(
    "Pendulum-v1", TINY, 960, 4, save_every=320, run={"eval_episodes": 1, "seed": 5, "engine": "fast-numpy"}
)


def begin(out: Path, weights: Path, ranks: Ranks, options: RunOptions = OPTIONS, dies_at: int = 0) -> None:
    new = PolicyOptions(policy_kwargs="dict(net_arch=[8])", normalize=True)
    trainer = begin_training(options, new, lambda _: None)
    assert trainer.ranks is ranks
    go(trainer, None, out, weights, dies_at)


def go_on(out: Path, weights: Path, ranks: Ranks, until: int | None = None, warned: str = "") -> None:
    said: list[str] = []
    trainer, origin, _ = resume(out, said.append, until=until, ranks=ranks)
    assert warned in " ".join(said)
    assert bool(said) == bool(warned)
    go(trainer, origin, out, weights)


def go(
    trainer: Trainer,
    origin: Checkpoint | None,
    out: Path,
    weights: Path,
    dies_at: int = 0,
    *told: TrainingCallback,
) -> None:
    """Train, and keep what the rank has at the end; the second one may be killed at some iteration."""
    iterate = trainer.iterate

    def mortal(*more: Any) -> object:
        if dies_at and trainer.ranks.rank == 1 and trainer.counters.iterations == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return iterate(*more)

    trainer.iterate = mortal  # type: ignore[method-assign, assignment]
    train(trainer, origin, out, *told)
    statistics = trainer.normaliser.normalizer().obs_rms  # type: ignore[union-attr]
    weights.mkdir(exist_ok=True)
    np.savez(
        weights / f"{trainer.ranks.rank}.npz",
        mean=statistics.mean,  # type: ignore[union-attr]
        **trainer.engine.tensors(),
        **{f"moment.{n}": row["exp_avg_sq"] for n, row in trainer.engine.optimizer().state.items()},
    )


def ended_alike(weights: Path, size: int) -> None:
    first, *others = (dict(np.load(weights / f"{rank}.npz")) for rank in range(size))
    for other in others:
        assert first.keys() == other.keys()
        for name, array in first.items():
            np.testing.assert_array_equal(array, other[name])


def messages(ranks: Ranks) -> None:
    """What each message gives, in three processes."""
    rank, numbers = ranks.rank, np.array([ranks.rank, 10 * ranks.rank], np.float32)
    assert ranks.mean(numbers, 3.0 * rank, 1.0) == (3.0, 1.0)
    np.testing.assert_array_equal(numbers, [1, 10])
    tensor = torch.full((3,), float(rank), dtype=torch.float64)
    assert ranks.mean(tensor) == ()
    assert tensor.tolist() == [1.0, 1.0, 1.0]
    own = np.full((2, 3), rank, np.int64)
    np.testing.assert_array_equal(ranks.rows(own), np.repeat([0, 1, 2], 2)[:, None].repeat(3, 1))
    images, flags = ranks.all_rows([np.full((2, 1, 2), rank, np.uint8), np.array([rank == 1, False])])
    assert (images.dtype, images.shape, flags.dtype) == (np.uint8, (6, 1, 2), np.bool_)
    assert images[:, 0, 1].tolist() == [0, 0, 1, 1, 2, 2]
    assert flags.tolist() == [False, False, True, False, False, False]
    assert ranks.gather(b"x" * rank) == [b"", b"x", b"xx"]
    assert ranks.of_first(f"of {rank}") == "of 0"
    assert ranks.any(rank == 2, False) == (True, False)
    assert ranks.part([1, 2, 3, 4, 5, 6]) == [2 * rank + 1, 2 * rank + 2]


def test_what_messages_give(tmp_path: Path) -> None:
    assert in_forks(3, tmp_path, messages) == [0, 0, 0]


class Impatient(TrainingCallback):
    """Changes the step size at once, and stops after the third update."""

    def on_training_start(self, training: Training) -> None:
        training.set(learning_rate=1e-2)

    def on_update_end(self, training: Training) -> bool:
        return training.iterations < 3


def impatiently(out: Path, weights: Path, ranks: Ranks) -> None:
    trainer = begin_training(OPTIONS, PolicyOptions(normalize=True), lambda _: None)
    go(trainer, None, out, weights, 0, Impatient() if ranks.is_first else Watcher())


def test_all_do_as_the_callbacks_of_the_first(tmp_path: Path) -> None:
    assert in_forks(2, tmp_path, partial(impatiently, tmp_path / "run", tmp_path / "weights")) == [0, 0]
    ended_alike(tmp_path / "weights", 2)
    rows = read_log(tmp_path / "run" / "progress.jsonl")
    assert [row["train/learning_rate"] for row in rows] == [1e-2] * 3
    assert (tmp_path / "run/checkpoints/last").resolve().name == "000480"


def tracked(out: Path, ranks: Ranks) -> None:
    options = replace(OPTIONS, run={**OPTIONS.run, "track": ("tensorboard",)})
    trainer = begin_training(options, PolicyOptions(normalize=True), lambda _: None)
    train(trainer, None, out)


def test_a_tracker_that_cannot_begin_ends_all_and_is_named(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "tensorboard").touch()
    assert in_forks(2, tmp_path, partial(tracked, out)) == [2, RankLost.exit_code]
    assert (tmp_path / "said.0").read_text().startswith("tensorboard cannot begin a run: ")
    assert not (out / "checkpoints").exists()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    place = tmp_path_factory.mktemp("two")
    assert in_forks(2, place, partial(begin, place / "run", place / "weights")) == [0, 0]
    return place


@pytest.fixture
def two(done: Path, tmp_path: Path) -> Path:
    """The folder of their run, to go on with."""
    shutil.copytree(done, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "run"


def test_two_end_alike_and_one_writes(two: Path, tmp_path: Path) -> None:
    ended_alike(tmp_path / "weights", 2)
    rows = read_log(two / "progress.jsonl")
    assert [row["time/total_timesteps"] for row in rows] == [160 * n for n in range(1, 7)]
    assert rows[-1]["rollout/ep_len_mean"] == 200
    port = read_port(two / "checkpoints/last/pretrained_model")
    assert port.normalizer is not None
    assert port.normalizer.statistics[""].count == pytest.approx(964, abs=0.01)  # of all environments
    for name, array in port.tensors.items():
        np.testing.assert_array_equal(array, np.load(tmp_path / "weights" / "0.npz")[name])
    state = read_state(two / "checkpoints/last/training_state")
    assert [recording.seed for recording in state.recordings] == [5, 6, 7, 8]
    assert len(state.progress.episodes) == 4
    assert state.random.numpy != state.others[0].numpy  # each draws its own


@pytest.mark.parametrize(
    ("size", "warned"),
    [
        (2, ""),
        (1, "had 2 process(es) and goes on in 1"),
        pytest.param(4, "goes on in 4", marks=pytest.mark.thorough),
    ],
)
def test_going_on_in_another_number(size: int, warned: str, two: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    weights = tmp_path / "more"
    job = partial(go_on, two, weights, until=1280, warned=warned)
    if size == 1:
        job(ALONE)
    else:
        assert in_forks(size, tmp_path / "again", job) == [0] * size
    ended_alike(weights, size)
    assert read_log(two / "progress.jsonl")[-1]["time/total_timesteps"] == 1280


def test_a_killed_rank_ends_the_run(two: Path, tmp_path: Path) -> None:
    """With a sentence and whole checkpoints, from which two end as two that nothing disturbed."""
    cut, place, again = tmp_path / "cut", tmp_path / "place", tmp_path / "again"
    for folder in (place, again):
        folder.mkdir()
    job = partial(begin, cut, tmp_path / "lost", dies_at=3)
    assert in_forks(2, place, job) == [1, -signal.SIGKILL]
    message, hint = (place / "said.0").read_text().split("\n")
    assert message == "another process of this training has ended, or cannot be reached any more"
    assert hint.startswith(f"the last checkpoint is {cut}/checkpoints/000320; go on, ")
    assert hint.endswith(f" with: sb3port train --resume {cut}")
    assert in_forks(2, again, partial(go_on, cut, tmp_path / "found")) == [0, 0]
    ended_alike(tmp_path / "found", 2)
    for name, array in np.load(tmp_path / "weights" / "0.npz").items():
        np.testing.assert_array_equal(array, np.load(tmp_path / "found" / "0.npz")[name])
