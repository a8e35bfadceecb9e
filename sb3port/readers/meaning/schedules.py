"""Pickled schedules, read as numbers: the function is recognised by its name, and its closure is looked at.

Four shapes cover what SB3 has written: cloudpickle 1.3's `_fill_function(..., {"closure_values": [0.2]})`;
functions whose state holds `__closure__` cells, as all later cloudpickles write them; the same nested in
`get_schedule_fn`'s lambda (SB3 2.3.1 to 2.6); and the classes of SB3 2.7 and rl_zoo3, plain instance state.
"""

import math
from collections.abc import Callable
from typing import Any

from sb3port.checkpoint.schedules import (
    ConstantSchedule,
    CustomSchedule,
    LinearSchedule,
    Schedule,
    SimpleLinearSchedule,
)
from sb3port.errors import NotPortable
from sb3port.readers.formats.arrays import as_number, is_number
from sb3port.readers.formats.records import Global, Record

_MAX_NESTING = 10
_MAX_CONSTANTS = 100
_MAX_NAME = 200
_SB3 = "stable_baselines3.common.utils"


def read_schedule(value: Any, where: str) -> Schedule:
    """Read a learning rate or clip range: a number, a schedule object or a pickled function.

    A function that is not one of SB3's or rl_zoo3's becomes a `CustomSchedule`.

    Raises:
        NotPortable: It is none of these.
    """
    schedule = _read(value, where, 0)
    if any(isinstance(number, float) and math.isnan(number) for number in vars(schedule).values()):
        raise NotPortable(f"{where} has a value that is not a number")
    return schedule


def _read(value: Any, where: str, nesting: int) -> Schedule:
    if is_number(value):
        return ConstantSchedule(float(as_number(value)))
    if not isinstance(value, Record) or nesting > _MAX_NESTING:
        raise NotPortable(f"{where} is neither a number nor a schedule")
    if isinstance(value.target, Global) and str(value.target) in _CLASSES:
        return _CLASSES[str(value.target)](value.attributes, where, nesting)
    return _read_function(value, where, nesting)


def _read_function(function: Record, where: str, nesting: int) -> Schedule:
    name, cells = _qualname(function), _closure(function)
    values = [cell for cell in cells if is_number(cell)]
    match name:
        case "constant_fn.<locals>.func" if len(values) == 1 and _is_bare(function):
            return ConstantSchedule(float(as_number(values[0])))
        case "linear_schedule.<locals>.func" if len(values) == 1 and _is_bare(function):
            return SimpleLinearSchedule(float(as_number(values[0])))
        case "get_linear_fn.<locals>.func" if len(values) == 3:
            return _linear_fn(function, values, where)
        case "get_schedule_fn.<locals>.<lambda>" if len(cells) == 1:
            return _read(cells[0], where, nesting + 1)
    constants = [*values, *(constant for constant in _code(function)[0] if is_number(constant))]
    numbers = [float(as_number(number)) for number in constants[:_MAX_CONSTANTS]]
    return CustomSchedule(name[:_MAX_NAME], tuple(number for number in numbers if not math.isnan(number)))


def _is_bare(function: Record) -> bool:
    """Whether the code has no numbers of its own and calls nothing, as SB3's and the zoo's one-liners.

    Tutorials have readers write a `linear_schedule` themselves, and some add a floor or another power.
    """
    constants, names = _code(function)
    return not names and not any(is_number(constant) for constant in constants)


def _code(function: Record) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Give `co_consts` and `co_names` of a function's code, empty where there is none."""
    found = (_code_constants(arg) for arg in (function, *function.args))
    return next((parts for parts in found if parts is not None), ((), ()))


def _code_constants(code: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    """Find `co_consts` and `co_names`: they follow the bytecode in the arguments of any `CodeType`."""
    args = code.args if isinstance(code, Record) else ()
    index = next((i for i, arg in enumerate(args) if isinstance(arg, bytes)), len(args))
    match args[index + 1 : index + 3]:
        case (tuple() as constants, tuple() as names):
            return constants, names
    return None


def _linear_fn(function: Record, values: list[Any], where: str) -> Schedule:
    """`get_linear_fn(start, end, end_fraction)`: its cells are in the order of the names of its variables."""
    names = _free_variables(function)
    if sorted(names) != ["end", "end_fraction", "start"]:
        raise NotPortable(f"{where} is a get_linear_fn schedule of an unknown form")
    cells = {name: float(as_number(cell)) for name, cell in zip(names, values, strict=True)}
    return _linear(cells, where)


def _linear(attributes: dict[str, Any], where: str) -> LinearSchedule:
    schedule = LinearSchedule(
        *(_number(attributes, name, where) for name in ("start", "end", "end_fraction"))
    )
    if not schedule.end_fraction > 0:
        raise NotPortable(f"{where} is a linear schedule over {schedule.end_fraction} of the training")
    return schedule


def _qualname(function: Record) -> str:
    """Find the function's qualified name: in its state, else the plain name in its code object."""
    for state in _states(function):
        if isinstance(state.get("__qualname__"), str):
            return str(state["__qualname__"])
        if isinstance(state.get("qualname"), str):
            return str(state["qualname"])
    return "unknown"


def _closure(function: Record) -> list[Any]:
    """Give what the closure's cells hold."""
    for state in _states(function):
        if isinstance(state.get("closure_values"), list):
            return list(state["closure_values"])
        if isinstance(state.get("__closure__"), tuple):
            return [_cell_content(cell) for cell in state["__closure__"]]
    return []


def _states(function: Record) -> list[dict[str, Any]]:
    """Give every dictionary that says something of the function: parts of its state, or an argument."""
    parts = [part for state in function.states for part in (state if isinstance(state, tuple) else (state,))]
    return [part for part in (*reversed(parts), *function.args) if isinstance(part, dict)]


def _cell_content(cell: Any) -> Any:
    return cell.args[0] if isinstance(cell, Record) and len(cell.args) == 1 else None


def _free_variables(function: Record) -> list[str]:
    """Find the code object's `co_freevars`: its last tuple of strings that is not empty."""
    code = next((arg for arg in function.args if isinstance(arg, Record)), None)
    names = [arg for arg in (code.args if code else ()) if isinstance(arg, tuple)]
    candidates = [arg for arg in names if arg and all(isinstance(name, str) for name in arg)]
    return list(candidates[-1]) if candidates else []


def _number(attributes: dict[str, Any], key: str, where: str) -> float:
    if key not in attributes:
        raise NotPortable(f"{where} is a schedule object without {key}")
    return float(as_number(attributes[key]))


_CLASSES: dict[str, Callable[[dict[str, Any], str, int], Schedule]] = {
    f"{_SB3}.FloatSchedule": lambda a, where, n: _read(a.get("value_schedule"), where, n + 1),
    f"{_SB3}.ConstantSchedule": lambda a, where, _: ConstantSchedule(_number(a, "val", where)),
    f"{_SB3}.LinearSchedule": lambda a, where, _: _linear(a, where),
    "rl_zoo3.utils.SimpleLinearSchedule": lambda a, where, _: SimpleLinearSchedule(
        _number(a, "initial_value", where)
    ),
}
