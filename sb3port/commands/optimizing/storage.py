"""The file of a study: SQLite that Optuna writes, which may be anybody's where a search goes on."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sb3port.commands.optimizing.space import is_within
from sb3port.errors import NotPortable

if TYPE_CHECKING:
    import optuna

_HINT = "choose another place with --out, or move it away"
# Whether there are tables, none of which is that by which Optuna tells its version.
_OTHERS = "SELECT count(*) > 0 AND NOT count(nullif(name = 'version_info', 0)) FROM sqlite_master"
# What runs statements of the file itself; Optuna makes none of these.
_RUNNING = "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index')"


def open_study(path: Path, name: str) -> "optuna.Study":
    """Open a study, or begin it.

    Args:
        path: The file.
        name: What the study is called in it.

    Raises:
        NotPortable: It is none of Optuna's, or its trials chose what is not searched for here.
    """
    import optuna
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    if path.is_symlink() or path.exists():
        _refuse_others(path)
    try:
        storage = optuna.storages.RDBStorage(str(URL.create("sqlite", database=str(path.resolve()))))
        study = optuna.create_study(
            study_name=name, storage=storage, direction="maximize", load_if_exists=True
        )
        trials = study.trials
        wanted = study.directions == [optuna.study.StudyDirection.MAXIMIZE]
    except (
        SQLAlchemyError,
        optuna.exceptions.OptunaError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:
        raise NotPortable(
            f"{path} cannot be read as a study of Optuna ({str(error)[:200]})", _HINT
        ) from error
    if not wanted or not all(map(_is_ours, trials)):
        raise NotPortable(f"{path} holds a search for something else", _HINT)
    return study


def _refuse_others(path: Path) -> None:
    """Refuse what is no database of tables alone, before Optuna writes to it.

    Raises:
        NotPortable: It is that.
    """
    if path.is_symlink() or not path.is_file():
        raise NotPortable(f"{path} is not a regular file, so it is not read", _HINT)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (running,), (others,) = (database.execute(text).fetchone() for text in (_RUNNING, _OTHERS))
    except sqlite3.Error as error:
        raise NotPortable(f"{path} cannot be read as a study of Optuna ({error})", _HINT) from error
    if others:
        raise NotPortable(f"{path} is a database, and none of Optuna's", _HINT)
    if running:
        raise NotPortable(f"{path} holds statements that would run when it is read", _HINT)


def _is_ours(trial: "optuna.trial.FrozenTrial") -> bool:
    complete = trial.state.name == "COMPLETE"
    values = [*(trial.values or ()), *trial.intermediate_values.values()]
    finite = all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    return is_within(trial.params, whole=complete) and (finite or not complete)
