"""Formulas as text: which are taken, what they give, and that nothing in one can take long."""

import math
import time
from typing import Any

import numpy as np
import pytest

from sb3port.checkpoint.expressions import FUNCTIONS, parse_expression
from sb3port.checkpoint.schedules import ExpressionSchedule, schedule_from_json
from sb3port.errors import NotPortable, UsageError
from sb3port.ppo.hyperparameters import Hyperparameters, changed

PROGRESS = [*map(float, np.linspace(1, -0.2, 121))]
TAKEN = [
    "3e-4 * progress_remaining ** 2",
    "-progress_remaining // 0.1 + +progress_remaining % 0.3 - (-2) ** 2",
    "1e-3 if not progress_remaining < 0.5 else 1e-4 if progress_remaining == 0.25 else 1e-5",
    "max(min(progress_remaining, 0.9, 0.8), 0.1) + abs(round(progress_remaining, 1))",
    "pow(2, progress_remaining) + float(int(3.7))",
    "math.exp(-5 * progress_remaining) + math.log(2 + progress_remaining, 10) + math.pi",
    "np.clip(np.cos(np.pi * progress_remaining), 0, 1) + np.where(progress_remaining > 0.5, 1, 2)",
    "np.float32(0.1) * progress_remaining",
    "(progress_remaining < 0.3) * 1e-3 + int(progress_remaining * 10) + True",
]


@pytest.mark.parametrize("text", TAKEN)
def test_it_gives_what_python_gives(text: str) -> None:
    theirs = eval(f"lambda progress_remaining: {text}", {"math": math, "np": np})
    ours = ExpressionSchedule(text)
    assert [ours(p) for p in PROGRESS] == [float(theirs(p)) for p in PROGRESS]


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("1 / progress_remaining", [0.0]),
        ("progress_remaining ** 0.5", [-0.5]),
        ("math.log(progress_remaining)", [0.0, -0.5]),
        ("math.exp(1000 * progress_remaining)", [1.0]),
    ],
)
def test_where_python_raises_it_is_no_number(text: str, gaps: list[float]) -> None:
    schedule = ExpressionSchedule(text)
    assert [p for p in (1.0, 0.5, 0.0, -0.5) if not math.isfinite(schedule(p))] == gaps


@pytest.mark.parametrize(
    "text",
    [
        *("", "progress", "x", "progress_remaining.real", "os.system", "math.factorial(9)", "'text'", "1j"),
        *("lambda: 1", "[1]", "(1, 2)", "{}", "f'{1}'", "1 < 2 < 3", "1 and 2", "x := 1", "eval('1')"),
        *("max(*[1, 2])", "max(1, key=2)", "round(1, 2, 3)", "np.load(1)", "__import__('os')", "1; 2", "1 +"),
        *("10 ** 9 if", "1 << 9", "~1", "1 @ 2", "9" * 30, "-" * 5000 + "1", "(" * 300 + "1" + ")" * 300),
        "+".join(["1"] * 150),
        "1" + " " * 10_000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no part|too large|no expression|characters"):
        parse_expression(text)
    with pytest.raises(NotPortable):
        schedule_from_json({"type": "ExpressionSchedule", "expression": text})


@pytest.mark.parametrize(
    "text",
    [
        "9 ** 9 ** 9 ** 9",
        "pow(9, pow(9, pow(9, 9)))",
        "round(5, -9223372036854775807)",
        "np.power(int(1e300), int(1e300))",
        "(-9) ** (9 ** 99)",
        "2 ** 4095 ** 2",
        "*".join(["(2 ** 4000)"] * 40),
    ],
)
def test_nothing_takes_long(text: str) -> None:
    began = time.process_time()
    ExpressionSchedule(text)(0.5)
    assert time.process_time() - began < 0.5


def test_every_function_takes_what_it_says() -> None:
    for name, (_, counts) in FUNCTIONS.items():
        for count in counts:
            value = ExpressionSchedule(f"{name}({', '.join(['progress_remaining', *'234'][:count])})")(0.5)
            assert math.isfinite(value), name


@pytest.mark.parametrize(
    ("given", "rule"),
    [("1e-3 * (1 - progress_remaining)", None), ("-progress_remaining", "above 0"), ("0", "above 0")],
)
def test_a_formula_may_begin_at_zero(given: Any, rule: str | None) -> None:
    if rule is None:
        settings = changed(Hyperparameters(), {"learning_rate": given}, "the test")
        assert settings.learning_rate(0.5) == 5e-4
        return
    with pytest.raises(UsageError, match=rule):
        changed(Hyperparameters(), {"learning_rate": given}, "the test")
