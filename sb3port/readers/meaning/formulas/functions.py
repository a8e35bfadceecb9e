"""Pickled functions: what they are called, which code they have, and what their names stand for.

cloudpickle has written them in three forms: `_fill_function(_make_skel_func(code, ...), state)` until 1.3,
`_make_function(code, ...)` or `FunctionType(code, ...)` with a state since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sb3port.checkpoint.expressions import CONSTANTS
from sb3port.errors import NotPortable
from sb3port.readers.formats.arrays import SCALAR, as_dtype, as_number, is_number
from sb3port.readers.formats.bytecode import Code, NotExpressible, code_of
from sb3port.readers.formats.records import Global, Record, describe
from sb3port.readers.meaning.formulas.algebra import call as call_function

_MAX_NESTING = 5
_SUBIMPORT = "cloudpickle.cloudpickle.subimport"
MODULES = {
    "math": "math",
    "numpy": "np",
    "torch": "torch",
    "torch.nn": "torch.nn",
    "torch.nn.modules.activation": "torch.nn",
}
_BUILTINS = ("builtins", "__builtin__")
_NUMPY_FUNCTIONS = ("numpy.core._multiarray_umath", "numpy._core._multiarray_umath", "numpy.core.umath")
_RECONSTRUCT_UFUNC = ("numpy.core._ufunc_reconstruct", "numpy._core._ufunc_reconstruct")


@dataclass(frozen=True)
class Named:
    """A module, function or class of Python's, NumPy's or torch's, by its name in expressions."""

    name: str

    def attribute(self, name: str) -> Any:
        """Give what an attribute of a module is: a number, or what is named so."""
        full = f"{self.name}.{name}"
        return CONSTANTS.get(full, Named(full))


@dataclass(frozen=True)
class Function:
    """A function that was pickled with its code.

    Args:
        defaults: Of its last arguments by position.
        kwdefaults: Of arguments that are given by name alone.
        cells: What its free variables hold, in the code's order.
        scope: What its global names stand for.
    """

    code: Code
    defaults: tuple[Any, ...]
    kwdefaults: Mapping[str, Any]
    cells: tuple[Any, ...]
    scope: Mapping[str, Any]


def read_function(function: Record) -> Function:
    """Read a pickled function.

    Raises:
        NotExpressible: It is something else, or of an unknown form.
    """
    code = next((arg for arg in _all_args(function) if _is_code(arg)), None)
    if code is None:
        raise NotExpressible(f"it calls {describe(function)}")
    return Function(
        code_of(code),
        _tuple(_stated(function, "__defaults__", "defaults")),
        _mapping(_stated(function, "__kwdefaults__", "kwdefaults")),
        tuple(closure_of(function)),
        _mapping(_stated(function, "__globals__", "globals")),
    )


def meaning_of(value: Any) -> Any:
    """Give what a pickled value is for a calculation: a number, what is named, or the record as it is."""
    if is_number(value):
        return _number(value)
    if isinstance(value, Global):
        return _of_global(value)
    if isinstance(value, Record) and value.calls(_SUBIMPORT) and value.args:
        return Named(MODULES[value.args[0]]) if value.args[0] in tuple(MODULES) else value
    if isinstance(value, Record) and value.calls(*_RECONSTRUCT_UFUNC) and len(value.args) == 2:
        return Named(f"np.{value.args[1]}")
    return value


def name_of(value: Any, nesting: int = 0) -> str:
    """Name a function, a method, or an object by its class."""
    if isinstance(value, Global):
        return str(value)
    if not isinstance(value, Record) or nesting > _MAX_NESTING:
        return f"of type {describe(value)}"
    if value.calls("functools.partial") and value.args:
        return f"partial of {name_of(value.args[0], nesting + 1)}"
    if (value.calls("builtins.getattr") or _is_method(value)) and len(value.args) == 2:
        first, second = value.args
        return (
            f"{name_of(first, nesting + 1)}.{second}"
            if isinstance(second, str)
            else name_of(first, nesting + 1)
        )
    return _told_name(value) or describe(value)


def _is_method(value: Record) -> bool:
    """Whether it is a bound method: `types.MethodType(function, object)`."""
    named = isinstance(value.target, Record) and value.target.args == ("MethodType",)
    return named or value.calls("types.MethodType")


def _told_name(value: Record) -> str | None:
    """Give the name of a function, or of a class, whose code the file carries."""
    name = _stated(value, "__qualname__", "qualname")
    code = next((arg for arg in _all_args(value) if _is_code(arg)), None)
    if isinstance(name, str):
        return name
    told = value.target if isinstance(value.target, Record) else code
    texts = [arg for arg in told.args if isinstance(arg, str)] if told else []
    return texts[-1 if told is code else 0] if texts else None


def constants_of(function: Any) -> list[Any]:
    """Give the numbers in a function's closure and code, for telling a user what is in it."""
    if not isinstance(function, Record):
        return []
    codes = [arg for arg in _all_args(function) if _is_code(arg)]
    tuples = [arg for code in codes for arg in code.args if isinstance(arg, tuple)]
    return [item for items in (closure_of(function), *tuples) for item in items if is_number(item)]


def closure_of(function: Record) -> list[Any]:
    """Give what the closure's cells hold."""
    values = _stated(function, "closure_values")
    if isinstance(values, list):
        return values
    cells = _stated(function, "__closure__")
    if not isinstance(cells, tuple):
        cells = function.args[-1] if function.args and isinstance(function.args[-1], tuple) else ()
    return [cell.args[0] if isinstance(cell, Record) and len(cell.args) == 1 else None for cell in cells]


def _stated(function: Record, *names: str) -> Any:
    """Find something in the dictionaries that say something of a function: its state, or an argument."""
    parts = [part for state in function.states for part in (state if isinstance(state, tuple) else (state,))]
    for part in (*reversed(parts), *function.args):
        for name in names:
            if isinstance(part, dict) and part.get(name) is not None:
                return part[name]
    return None


def _all_args(function: Record) -> list[Any]:
    """Give the arguments, and those of the function without state that cloudpickle 1.3 filled."""
    inner = [arg.args for arg in function.args if isinstance(arg, Record) and not _is_code(arg)]
    return [*function.args, *(arg for args in inner[:1] for arg in args)]


def _is_code(value: Any) -> bool:
    return isinstance(value, Record) and any(isinstance(arg, bytes) for arg in value.args[:8])


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> Any:
    """Give a number; float32 keeps its type, by which NumPy rounds."""
    try:
        number = as_number(value)
        kind = as_dtype(value.args[0]).name if isinstance(value, Record) and value.calls(*SCALAR) else ""
    except NotPortable as error:
        raise NotExpressible("it uses a number that is none") from error
    if kind not in ("", "float32", "float64"):
        raise NotExpressible(f"it uses numbers of NumPy's {kind}, which calculate in their own way")
    return call_function("np.float32", (number,)) if kind == "float32" else number


def _of_global(value: Global) -> Any:
    if value.module in _BUILTINS:
        return Named(value.name)
    if value.module in _NUMPY_FUNCTIONS:
        return Named(f"np.{value.name}")
    return Named(MODULES[value.module]).attribute(value.name) if value.module in MODULES else value
