"""Logs of strangers, side by side: what no training logs is told in a sentence, or is no point of a curve."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.commands.compare import compare
from sb3port.commands.comparing.intervals import difference_of
from sb3port.commands.comparing.reading import read_run
from sb3port.errors import NotPortable, Sb3portError

HEAD = "time/total_timesteps,rollout/ep_rew_mean,time/fps\n"
EPISODES = "r,l,t\n1,2,3\n4,5,6\n"


def monitor(header: str, rows: str = EPISODES) -> str:
    return f"#{header}\n{rows}"


DAMAGED = {
    "a cell without end": ("progress.csv", f"{HEAD}1,{'9' * 200_000},3\n"),
    "lines of old Macs": ("progress.csv", HEAD.replace("\n", "\r") + "1,2,3\r"),
    "no steps": ("progress.csv", "a,b\n1,2\n"),
    "a start of very many digits": ("monitor.csv", monitor(f'{{"t_start": {"9" * 400}}}')),
    "an infinite start": ("monitor.csv", monitor('{"t_start": 1e999}')),
    "depths": ("monitor.csv", monitor("[" * 100_000)),
    "NaN": ("monitor.csv", monitor('{"t_start": 1}', "r,l,t\nnan,1,1\n")),
    "infinite episodes": ("monitor.csv", monitor('{"t_start": 1}', "r,l,t\n1,inf,1\n")),
    "episodes of less than no steps": ("monitor.csv", monitor('{"t_start": 1}', "r,l,t\n1,-5,1\n1,9,1\n")),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_tables_that_no_training_writes(name: str, tmp_path: Path) -> None:
    file, content = DAMAGED[name]
    (tmp_path / file).write_text(content, newline="")
    with pytest.raises(NotPortable, match=file):
        compare([tmp_path])


@pytest.mark.parametrize("cells", ["nan,1", "inf,1", "200,nan", "200,inf", "1e308,1e308", "300,-1e300"])
def test_what_is_no_number_is_no_point(cells: str, tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(f"{HEAD}100,7,1\n{cells},1\n")
    found = read_run(tmp_path)
    assert (found.training.steps, found.training.values) == ((100.0,), (7.0,))
    assert json.dumps(compare([tmp_path, tmp_path]).to_json(), allow_nan=False)


GOOD: dict[str, Any] = {
    "timesteps": np.array([1, 2]),
    "results": np.ones((2, 3)),
    "ep_lengths": np.ones((2, 3)),
}
EVALUATIONS = {
    "infinitely many steps": {"timesteps": np.array([np.inf, 1])},
    "NaN for steps": {"timesteps": np.array([np.nan, 1])},
    "infinite lengths": {"ep_lengths": np.full((2, 3), np.inf)},
    "no episodes": {"results": np.ones((2, 0))},
    "objects": {"results": np.array([None, None])},
    "a single number": {"results": np.array(1.0)},
    "fewer": {"results": np.ones((1, 3))},
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluations_that_there_are_none_of(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "evaluations.npz", **{**GOOD, **EVALUATIONS[name]})
    with pytest.raises(NotPortable, match=r"evaluations\.npz"):
        compare([tmp_path])


@pytest.mark.parametrize("row", [[np.inf, -np.inf, 0], [np.nan, 0, 0], [1e308] * 3], ids=range(3))
def test_returns_without_a_mean_are_no_points(row: list[float], tmp_path: Path) -> None:
    np.savez(tmp_path / "evaluations.npz", **{**GOOD, "results": np.array([[1.0, 2, 3], row])})
    assert read_run(tmp_path).evaluation.values == (2.0,)


def test_evaluations_that_swell(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "evaluations.npz", **{**GOOD, "timesteps": np.zeros(30_000_000)})
    with pytest.raises(NotPortable, match="takes more than"):
        compare([tmp_path])


MAKE: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("name", ["progress.csv", "monitor.csv", "evaluations.npz"])
def test_logs_that_are_no_files(name: str, kind: str, tmp_path: Path) -> None:
    MAKE[kind](tmp_path / name)
    with pytest.raises(Sb3portError):
        compare([tmp_path])


def test_a_seed_of_very_many_digits(tmp_path: Path) -> None:
    (tmp_path / "progress.csv").write_text(f"{HEAD}100,7,1\n")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "args.yml").write_text(f"- - seed\n  - {'9' * 10_000}\n")
    assert read_run(tmp_path).seed is None


def test_differences_that_are_next_to_nothing() -> None:
    assert difference_of([1e-100, 2e-100], [1e-100, 3e-100]).half == 0.0
    assert difference_of([1e69, -1e69], [1e69, 0.0]).half is not None
