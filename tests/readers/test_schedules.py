"""Schedules pickled as today's SB3 and cloudpickle do: recognised, and the same numbers as SB3's."""

import functools
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
    ExpressionSchedule,
    LinearSchedule,
    Schedule,
    SimpleLinearSchedule,
    schedule_from_json,
    schedule_to_json,
)
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


def test_a_function_is_known_by_what_it_does_and_not_by_its_name() -> None:
    theirs = _functions(_FLOORED)["linear_schedule"](1e-3)
    ours = _read(theirs)
    assert ours == ExpressionSchedule("max(progress_remaining * 0.001, 1e-05)")
    assert [ours(p) for p in PROGRESS] == [theirs(p) for p in PROGRESS]


def test_a_class_of_the_same_name_elsewhere_is_not_sb3s() -> None:
    data = cloudpickle.dumps(Sb3Linear(1.0, 0.0, 1.0))
    # The module's name in the pickle, replaced by another of the same length.
    elsewhere = data.replace(b"stable_baselines3.common.utils", b"somebody_else_.common.utilsxxx")
    assert elsewhere != data
    ours = read_schedule(read_pickle(elsewhere, "test").value, "test")
    assert ours == CustomSchedule("somebody_else_.common.utilsxxx.LinearSchedule", ())


def decay(progress: float) -> float:
    return 3e-4 * progress


class Decay:
    """A schedule of the author's own, in a module of the author's own."""

    def __init__(self, start: float) -> None:
        self.start = start

    def __call__(self, progress: float) -> float:
        return self.start * progress

    def at(self, progress: float) -> float:
        return self(progress)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (decay, f"{__name__}.decay"),
        (Decay(3e-4), f"{__name__}.Decay"),
        (Decay(3e-4).at, f"{__name__}.Decay.at"),
        (functools.partial(decay, 1.0), f"partial of {__name__}.decay"),
        (np.interp, "numpy.interp"),
        ("linear", "of type str"),
        (None, "of type NoneType"),
        ([], "of type list"),
        ({"val": 1.0}, "of type dict"),
        (10**300, "of type int"),
        (float("nan"), "of type float"),
    ],
)
def test_what_cannot_be_followed_is_custom_and_named(value: Any, name: str) -> None:
    ours = read_schedule(read_pickle(cloudpickle.dumps(value), "test").value, "test")
    assert isinstance(ours, CustomSchedule)
    assert ours.qualname == name
    assert schedule_from_json(schedule_to_json(ours)) == ours


def test_numpys_functions_are_followed() -> None:
    ours = _read(np.square)
    assert ours == ExpressionSchedule("np.square(progress_remaining)")
    assert [ours(p) for p in PROGRESS] == [float(np.square(p)) for p in PROGRESS]


def test_objects_of_sb3s_within_functions_are_followed() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__", "base": Sb3Linear(1e-3, 1e-4, 0.5)}
    theirs = eval("lambda p: 0.5 * base(p)", namespace)
    ours = _read(FloatSchedule(theirs))
    assert isinstance(ours, ExpressionSchedule)
    assert [ours(p) for p in PROGRESS] == [theirs(p) for p in PROGRESS]


def test_single_precision_stays() -> None:
    theirs = OLD["linear_schedule"](np.float32(1e-3))
    ours = _read(theirs)
    assert [ours(p) for p in PROGRESS] == [float(theirs(p)) for p in PROGRESS]
    assert _read(OLD["constant_fn"](np.float32(0.3))) == ConstantSchedule(float(np.float32(0.3)))
