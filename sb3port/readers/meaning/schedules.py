"""Pickled schedules, read as numbers and expressions: what a function's code says, never what it is called.

SB3 before 2.7 and rl_zoo3 pickle learning rates and clip ranges as functions with their code, SB3 2.7 and
later as objects of its classes; users give functions of their own. Each is followed symbolically (see
`formulas`), and what it returns is a schedule of SB3's where it has the form of one.
"""

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from sb3port.checkpoint.expressions import NAME, value_at
from sb3port.checkpoint.schedules import (
    ConstantSchedule,
    CustomSchedule,
    ExpressionSchedule,
    LinearSchedule,
    Schedule,
    SimpleLinearSchedule,
)
from sb3port.errors import NotPortable
from sb3port.readers.formats.arrays import as_number, is_number
from sb3port.readers.formats.bytecode import NotExpressible, Version
from sb3port.readers.formats.opcodes import VERSIONS
from sb3port.readers.formats.records import Record
from sb3port.readers.meaning.formulas import algebra
from sb3port.readers.meaning.formulas.algebra import PROGRESS, Quantity
from sb3port.readers.meaning.formulas.functions import constants_of, meaning_of, name_of
from sb3port.readers.meaning.formulas.run import Run

_MAX_CONSTANTS = 100
_MAX_NAME = 200
_SB3 = "stable_baselines3.common.utils"


def read_schedule(value: Any, where: str, python: Version | None = None) -> Schedule:
    """Read a learning rate or clip range: a number, a schedule object or a pickled function.

    What is more than an expression, or nothing that can be called, becomes a `CustomSchedule`.

    Args:
        value: As the symbolic pickle reader gives it.
        where: What to call it in messages.
        python: The Python that wrote it, as far as that is known.
    """
    found = _expressions(value, where, python)
    # Where several Pythons can have compiled the code, they must not disagree on what it says.
    if len({str(schedule) for schedule in found}) == 1:
        return found[0]
    numbers = [_finite(constant) for constant in constants_of(value)[:_MAX_CONSTANTS]]
    return CustomSchedule(name_of(value)[:_MAX_NAME], tuple(n for n in numbers if n is not None))


def _expressions(value: Any, where: str, python: Version | None) -> list[Schedule]:
    found = []
    for version in VERSIONS[:1] if is_number(value) else VERSIONS:
        try:
            run = Run(version, python, _OBJECTS, where)
            returned = as_number(value) if is_number(value) else run.call(value, (PROGRESS,), {})
            found.append(_schedule_of(returned))
        except NotExpressible:
            continue
    return found


def _finite(constant: Any) -> float | None:
    """Give a constant as a float, None where it is too large, or none."""
    try:
        number = float(as_number(constant))
    except NotPortable:
        return None
    return None if math.isnan(number) else number


def _schedule_of(returned: Any) -> Schedule:
    """Give what a function returns as a schedule: of SB3's or the zoo's classes where they say the same.

    Raises:
        NotExpressible: It is no number.
    """
    symbol = algebra.as_symbol(algebra.quantity(returned))
    node = _without_float(symbol.node)
    if all(not isinstance(part, ast.Name) or part.id != NAME for part in ast.walk(node)):
        return ConstantSchedule(_not_nan(value_at(node, 1.0)))
    if (initial_value := _simple_linear(node)) is not None:
        return SimpleLinearSchedule(initial_value)
    if (linear := _linear(node)) is not None:
        return linear
    try:
        return ExpressionSchedule(ast.unparse(node))
    except ValueError as error:
        raise NotExpressible("it is too long") from error


def _not_nan(value: float) -> float:
    if math.isnan(value):
        raise NotExpressible("its value is not a number")
    return value


def _without_float(node: ast.expr) -> ast.expr:
    """Leave out that the result is made a float, which schedules do anyway."""
    match node:
        case ast.Call(func=ast.Name(id="float"), args=[inner]):
            return _without_float(inner)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return ast.IfExp(test, _without_float(body), _without_float(orelse))
    return node


def _simple_linear(node: ast.expr) -> float | None:
    """Give the initial value of `progress_remaining * initial_value`, whose bits are those of the reverse."""
    match node:
        case ast.Name():
            return 1.0
        case ast.BinOp(left=ast.Name(), op=ast.Mult(), right=factor):
            return _number(factor)
        case ast.BinOp(left=factor, op=ast.Mult(), right=ast.Name()):
            return _number(factor)
    return None


def _linear(node: ast.expr) -> LinearSchedule | None:
    """Recognise the formula of `LinearSchedule`, which `get_linear_fn` has, too."""
    match node:
        case ast.IfExp(
            test=ast.Compare(left=rest, ops=[ast.Gt()], comparators=[until]),
            body=end_node,
            orelse=ast.BinOp(
                left=start_node,
                op=ast.Add(),
                right=ast.BinOp(
                    left=ast.BinOp(left=rest_again, op=ast.Mult(), right=way),
                    op=ast.Div(),
                    right=until_again,
                ),
            ),
        ) if {ast.unparse(rest), ast.unparse(rest_again)} == {f"1 - {NAME}"}:
            start, end, fraction = _number(start_node), _number(end_node), _number(until)
            if start is None or end is None or fraction is None or not fraction > 0:
                return None
            same = _number(way) == end - start and _number(until_again) == fraction
            return LinearSchedule(start, end, fraction) if same else None
    return None


def _number(node: ast.expr) -> float | None:
    """Give what a number in a formula is, None for what is no number of Python's."""
    if any(isinstance(part, ast.Call) or getattr(part, "id", "") == NAME for part in ast.walk(node)):
        return None
    return value_at(node, 1.0)


def _attribute(record: Record, name: str) -> Quantity:
    if name not in record.attributes:
        raise NotExpressible(f"it is a schedule object without {name}")
    value = record.attributes[name]
    return algebra.quantity(as_number(value) if is_number(value) else meaning_of(value))


def _float_schedule(run: Run, record: Record, progress: Quantity) -> Quantity:
    inner = record.attributes.get("value_schedule")
    returned = as_number(inner) if is_number(inner) else meaning_of(run.call(inner, (progress,), {}))
    return algebra.call("float", (algebra.quantity(returned),))


def _linear_schedule(_: Run, record: Record, progress: Quantity) -> Quantity:
    """Follow `LinearSchedule.__call__`."""
    start, end, end_fraction = (_attribute(record, name) for name in ("start", "end", "end_fraction"))
    rest = algebra.binary("-", 1, progress)
    way = algebra.binary("*", rest, algebra.binary("-", end, start))
    inner = algebra.binary("+", start, algebra.binary("/", way, end_fraction))
    return algebra.choose(algebra.compare(">", rest, end_fraction), end, inner)


_OBJECTS: Mapping[str, Callable[[Run, Record, Any], Any]] = {
    f"{_SB3}.FloatSchedule": _float_schedule,
    f"{_SB3}.ConstantSchedule": lambda _, record, __: _attribute(record, "val"),
    f"{_SB3}.LinearSchedule": _linear_schedule,
    "rl_zoo3.utils.SimpleLinearSchedule": lambda _, record, progress: algebra.binary(
        "*", progress, _attribute(record, "initial_value")
    ),
}
