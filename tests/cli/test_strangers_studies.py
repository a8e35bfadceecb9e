"""A search that goes on from a study of somebody else: its file may be anything, and so may its trials."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from sb3port.commands.optimizing.space import is_within
from sb3port.commands.optimizing.storage import open_study
from sb3port.errors import NotPortable

from .test_optimize import CHOSEN


def changed(statement: str) -> Callable[[Path], None]:
    """Give what makes a study, and changes its file by a statement of SQL."""

    def write(path: Path) -> None:
        study = open_study(path, "CartPole-v1")
        study.add_trial(trial_of(CHOSEN))
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)

    return write


def trial_of(params: dict[str, Any], value: float = 1.0) -> optuna.trial.FrozenTrial:
    chosen = {name: optuna.distributions.CategoricalDistribution([one]) for name, one in params.items()}
    return optuna.trial.create_trial(params=params, distributions=chosen, value=value)


FILES: dict[str, Callable[[Path], None]] = {
    "text": lambda path: path.write_text("mine") and None,
    "a link": lambda path: path.symlink_to("/etc/hostname"),
    "a folder": lambda path: path.mkdir(),
    "another database": lambda path: sqlite3.connect(path).executescript("CREATE TABLE studies (x)").close(),
    "a trigger": changed("CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END"),
    "a view": changed("CREATE VIEW v AS SELECT 1"),
    "a distribution of another kind": changed("UPDATE trial_params SET distribution_json = '{}'"),
    "another state": changed("UPDATE trials SET state = 'x'"),
    "another direction": changed("UPDATE study_directions SET direction = 'MINIMIZE'"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_something_else(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path / "study.db")
    with pytest.raises(NotPortable, match=r"study\.db"):
        open_study(tmp_path / "study.db", "CartPole-v1")


@pytest.mark.parametrize(
    "change",
    [
        {"n_steps_pow": 10**12},
        {"batch_size_pow": -1},
        {"learning_rate": "=cmd()"},
        {"net_arch": "huge"},
        {"n_epochs": True},
        {"=cmd()": 1},
        {"clip_range": None},
    ],
    ids=range(7),
)
def test_choices_that_there_are_not(change: dict[str, Any]) -> None:
    """2 to the power of what a study says would fill the memory."""
    assert is_within(CHOSEN, whole=True)
    assert not is_within({**CHOSEN, **change}, whole=True)
    assert not is_within(change, whole=False)


def test_trials_that_lack_something(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.db", "CartPole-v1")
    study.add_trial(trial_of({"learning_rate": 1e-4}))
    with pytest.raises(NotPortable, match="a search for something else"):
        open_study(tmp_path / "study.db", "CartPole-v1")


def test_ours_go_on(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.db", "CartPole-v1")
    study.add_trial(trial_of(CHOSEN))
    assert len(open_study(tmp_path / "study.db", "CartPole-v1").trials) == 1
