"""Schedules with their code, pickled by every Python: what is read gives the same bits as the function."""

import math
import opcode
import runpy
import struct
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.checkpoint.schedules import (
    CustomSchedule,
    LinearSchedule,
    Schedule,
    schedule_from_json,
    schedule_to_json,
)
from sb3port.readers.formats.opcodes import CACHES, NAMES
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.formats.records import Global, Record
from sb3port.readers.meaning.schedules import read_schedule

FOLDER = Path(__file__).parents[2] / "fixtures" / "schedules"
PYTHONS = sorted(path.name.removesuffix(".pkl.z") for path in FOLDER.glob("*.pkl.z"))
DEFINED = runpy.run_path(str(FOLDER / "shapes.py"))
SHAPES: dict[str, Callable[[float], float]] = DEFINED["SHAPES"]
# As SB3 asks: from 1 to 0, and a little further.
PROGRESS = [*map(float, np.linspace(1, -0.1, 111)), *np.random.default_rng(0).random(40).tolist()]


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
    pairs = [(ours(p), value(theirs, p)) for p in PROGRESS]
    return all(
        struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b)) for a, b in pairs
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


def code_of_314(code: bytes, consts: tuple[Any, ...], free: Mapping[str, float]) -> Record:
    """A function as Python 3.14 would have compiled it; its opcodes are those of its own tables."""
    args = (1, 0, 0, 1, 9, 3, code, consts, (), ("p",), "f.py", "f", "f", 1, b"", b"", tuple(free), ())
    builtin = Global("cloudpickle.cloudpickle", "_builtin_type")
    made = Record(
        Global("cloudpickle.cloudpickle", "_make_function"),
        (Record(Record(builtin, ("CodeType",)), args), {}),
    )
    cells = tuple(Record(Global("cloudpickle.cloudpickle", "_make_cell"), (cell,)) for cell in free.values())
    made.states.append(({}, {"__globals__": {}, "__closure__": cells}))
    return made


def test_python_314() -> None:
    """By hand, as no 3.14 pickled them: COPY_FREE_VARS is 60, RESUME 128, BINARY_OP 44 with five caches."""
    begin, operation = bytes([60, 1, 128, 0]), lambda number: bytes([44, number]) + bytes(10)
    # LOAD_FAST_BORROW_LOAD_FAST_BORROW, LOAD_DEREF, RETURN_VALUE
    quadratic = begin + bytes([87, 0]) + operation(5) + bytes([83, 1]) + operation(5) + bytes([35, 0])
    schedule = read_schedule(code_of_314(quadratic, (None,), {"initial_value": 3e-4}), "it")
    assert str(schedule) == "progress_remaining * progress_remaining * 0.0003"
    # LOAD_SMALL_INT 1, LOAD_FAST_BORROW
    rest = bytes([94, 1, 86, 0]) + operation(10)
    # COMPARE_OP > as a truth value, POP_JUMP_IF_FALSE over three, NOT_TAKEN
    test = rest + bytes([83, 1, 56, 148, 0, 0, 100, 3, 0, 0, 28, 0])
    end = bytes([83, 2, 35, 0])
    inner = bytes([83, 3]) + rest + bytes([83, 2, 83, 3]) + operation(10) + operation(5) + bytes([83, 1])
    linear = begin + test + end + inner + operation(11) + operation(0) + bytes([35, 0])
    free = {"end_fraction": 0.3, "end": 0.1, "start": 0.7}
    assert read_schedule(code_of_314(linear, (None,), free), "it") == LinearSchedule(0.7, 0.1, 0.3)


def test_opcodes_are_those_of_this_python() -> None:
    version = sys.version_info[:2]
    numbers = {number: name for name, number in opcode.opmap.items()}
    assert {number: numbers.get(number) for number in NAMES[version]} == NAMES[version]
    entries = opcode._inline_cache_entries
    caches = entries if isinstance(entries, dict) else dict(zip(opcode.opname, entries, strict=False))
    known = {name: count for name, count in caches.items() if count and name in NAMES[version].values()}
    assert known == CACHES.get(version, {})
