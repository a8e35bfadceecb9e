"""Schedules with their code, pickled by every Python: what is read gives the same bits as the function."""

import math
import runpy
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.checkpoint.schedules import CustomSchedule, Schedule, schedule_from_json, schedule_to_json
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.meaning.schedules import read_schedule

FOLDER = Path(__file__).parents[2] / "fixtures" / "schedules"
PYTHONS = sorted(path.name.removesuffix(".pkl.z") for path in FOLDER.glob("*.pkl.z"))
DEFINED = runpy.run_path(str(FOLDER / "shapes.py"))
SHAPES: dict[str, Callable[[float], float]] = DEFINED["SHAPES"]
# As SB3 asks: from 1 to 0, and a little further.
PROGRESS = [*map(float, np.linspace(1, -0.1, 221)), *np.random.default_rng(0).random(200).tolist()]


def pickled(python: str) -> dict[str, Any]:
    raw = zlib.decompress((FOLDER / f"{python}.pkl.z").read_bytes())
    return dict(read_pickle(raw, python).value)


def value(function: Callable[[float], Any], progress: float) -> float:
    """Give a function's value as SB3 takes it, NaN where it has none."""
    try:
        return float(function(progress))
    except (ArithmeticError, ValueError, TypeError):
        return math.nan


def same(ours: Callable[[float], float], theirs: Callable[[float], float]) -> bool:
    """Compare bits, and NaN with NaN."""
    return all(
        np.float64(ours(p)).tobytes() == np.float64(value(theirs, p)).tobytes()
        or (math.isnan(ours(p)) and math.isnan(value(theirs, p)))
        for p in PROGRESS
    )


def test_every_python_is_there() -> None:
    assert len(PYTHONS) == 8


@pytest.mark.parametrize("python", PYTHONS)
def test_formulas_give_the_same_bits(python: str) -> None:
    functions = pickled(python)
    read = {name: read_schedule(functions[name], name) for name in SHAPES}
    custom = {name for name, schedule in read.items() if isinstance(schedule, CustomSchedule)}
    assert custom == set()
    assert [name for name, schedule in read.items() if not same(schedule, SHAPES[name])] == []
    assert [n for n, s in read.items() if schedule_from_json(schedule_to_json(s)) != s] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_more_than_a_formula_is_custom(python: str) -> None:
    functions = pickled(python)
    for name in DEFINED["MORE_THAN_FORMULAS"]:
        schedule: Schedule = read_schedule(functions[name], name)
        assert isinstance(schedule, CustomSchedule), (name, schedule)
