"""Schedules pickled as today's SB3 and cloudpickle do: recognised, and the same numbers as SB3's."""

from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pytest
from stable_baselines3.common.utils import ConstantSchedule as Sb3Constant
from stable_baselines3.common.utils import FloatSchedule
from stable_baselines3.common.utils import LinearSchedule as Sb3Linear

from sb3port.checkpoint.schedules import (
    ConstantSchedule,
    CustomSchedule,
    LinearSchedule,
    Schedule,
    SimpleLinearSchedule,
    schedule_from_json,
    schedule_to_json,
)
from sb3port.errors import NotPortable
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.meaning.schedules import read_schedule

PROGRESS = [float(p) for p in np.linspace(1, 0, 1001)]
RAN: list[float] = []

# Functions as SB3 before 2.7 and rl_zoo3 define them, in a namespace whose name cloudpickle pickles by value.
SOURCE = '''
def constant_fn(val):
    def func(_):
        return val
    return func

def get_linear_fn(start, end, end_fraction):
    def func(progress_remaining):
        if (1 - progress_remaining) > end_fraction:
            return end
        else:
            return start + (1 - progress_remaining) * (end - start) / end_fraction
    return func

def linear_schedule(initial_value):
    def func(progress_remaining):
        """Current learning rate."""
        return progress_remaining * initial_value
    return func

def get_schedule_fn(value_schedule):
    return lambda progress_remaining: float(value_schedule(progress_remaining))

def custom(ran, first, second):
    def my_schedule(progress_remaining):
        ran.append(progress_remaining)
        return first * progress_remaining**second
    return my_schedule
'''
_FLOORED = SOURCE.replace(
    "return progress_remaining * initial_value", "return max(progress_remaining * initial_value, 1e-5)"
)


def _functions(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<schedules>", "exec"), namespace)
    return namespace


OLD = _functions(SOURCE)


def _read(value: Any) -> Schedule:
    return read_schedule(read_pickle(cloudpickle.dumps(value), "test").value, "test")


CASES: dict[str, tuple[Callable[[float], float], Schedule]] = {
    "constant_fn": (OLD["constant_fn"](0.3), ConstantSchedule(0.3)),
    "constant_fn of int": (OLD["constant_fn"](1), ConstantSchedule(1.0)),
    "constant_fn of numpy": (OLD["constant_fn"](np.float64(0.1)), ConstantSchedule(0.1)),
    "linear_schedule": (OLD["linear_schedule"](1e-3), SimpleLinearSchedule(1e-3)),
    "get_linear_fn": (OLD["get_linear_fn"](0.7, 0.1, 0.3), LinearSchedule(0.7, 0.1, 0.3)),
    "wrapped constant": (OLD["get_schedule_fn"](OLD["constant_fn"](0.3)), ConstantSchedule(0.3)),
    "wrapped linear": (OLD["get_schedule_fn"](OLD["linear_schedule"](0.2)), SimpleLinearSchedule(0.2)),
    "FloatSchedule of a number": (FloatSchedule(0.25), ConstantSchedule(0.25)),
    "FloatSchedule of constant": (FloatSchedule(Sb3Constant(0.25)), ConstantSchedule(0.25)),
    "FloatSchedule of linear": (FloatSchedule(Sb3Linear(1e-3, 1e-5, 0.9)), LinearSchedule(1e-3, 1e-5, 0.9)),
    "FloatSchedule of a function": (FloatSchedule(OLD["linear_schedule"](0.2)), SimpleLinearSchedule(0.2)),
    "LinearSchedule": (Sb3Linear(0.2, 0.0, 1.0), LinearSchedule(0.2, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_recognised_and_same_values(name: str) -> None:
    theirs, expected = CASES[name]
    ours = _read(theirs)
    assert ours == expected
    assert not isinstance(ours, CustomSchedule)
    assert [ours(p) for p in PROGRESS] == [theirs(p) for p in PROGRESS]
    assert schedule_from_json(schedule_to_json(ours)) == ours


@pytest.mark.parametrize("number", [3e-4, 1, np.float32(0.5), np.float64(3e-4), np.int64(2)])
def test_numbers(number: Any) -> None:
    assert _read(number) == ConstantSchedule(float(number))


def test_a_custom_function_is_named_and_never_run() -> None:
    ours = _read(OLD["custom"](RAN, 0.5, 2))
    assert isinstance(ours, CustomSchedule)
    assert ours.qualname == "custom.<locals>.my_schedule"
    assert sorted(ours.constants) == [0.5, 2.0]
    assert not RAN


def test_a_linear_schedule_that_does_more_than_the_zoos_is_custom() -> None:
    ours = _read(_functions(_FLOORED)["linear_schedule"](1e-3))
    assert ours == CustomSchedule("linear_schedule.<locals>.func", (1e-3, 1e-5))


def test_a_class_of_the_same_name_elsewhere_is_not_sb3s() -> None:
    data = cloudpickle.dumps(Sb3Linear(1.0, 0.0, 1.0))
    # The module's name in the pickle, replaced by another of the same length.
    elsewhere = data.replace(b"stable_baselines3.common.utils", b"somebody_else_.common.utilsxxx")
    assert elsewhere != data
    assert isinstance(read_schedule(read_pickle(elsewhere, "test").value, "test"), CustomSchedule)


@pytest.mark.parametrize("value", ["linear", None, [], {"val": 1.0}, 10**400])
def test_what_is_no_schedule(value: Any) -> None:
    with pytest.raises(NotPortable):
        read_schedule(value, "test")
