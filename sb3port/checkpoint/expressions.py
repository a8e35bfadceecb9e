"""Expressions in `progress_remaining`, such as `0.0003 * progress_remaining ** 2`: text that is data.

The text is Python's, cut down to numbers, arithmetic, comparisons, `a if b else c` and the functions named
here. It is parsed, checked and evaluated by this file alone, with Python's and NumPy's own arithmetic, so
that it gives the same bits as a function that says the same. Everything about it is bounded, since it may
come from a stranger: its length, its nodes, and how large a whole number can grow.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

NAME = "progress_remaining"
MAX_NODES = 200
MAX_DEPTH = 60
MAX_TEXT = 8000
MAX_INTEGER = 2**63
_MAX_POWER_BITS = 4096
_MAX_DIGITS = 400


def _power(base: Any, exponent: Any) -> Any:
    """Give `base ** exponent`, where a whole number does not grow beyond bounds."""
    are_whole = isinstance(base, int) and isinstance(exponent, int)
    if are_whole and abs(exponent) * base.bit_length() > _MAX_POWER_BITS:
        raise OverflowError("a power that is too large")
    return base**exponent


def _numpy_power(base: Any, exponent: Any) -> Any:
    """Give `np.power`, which takes whole numbers that it has no type for as Python does."""
    if any(isinstance(number, int) and abs(number) >= MAX_INTEGER for number in (base, exponent)):
        raise OverflowError("a power that is too large")
    return np.power(base, exponent)


def _round(number: Any, digits: Any = None) -> Any:
    if isinstance(digits, int) and abs(digits) > _MAX_DIGITS:
        raise OverflowError("rounding to too many digits")
    return round(number, digits)


_MATH_OF_ONE = (
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "exp", "expm1", "log2", "log10"),
    *("log1p", "sqrt", "fabs", "floor", "ceil", "trunc", "degrees", "radians"),
)
_NUMPY_OF_ONE = (
    *(
        "abs",
        "absolute",
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "exp",
        "exp2",
    ),
    *(
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "square",
        "floor",
        "ceil",
        "trunc",
        "sign",
        "float32",
    ),
    "float64",
)
_NUMPY_OF_TWO = ("minimum", "maximum", "multiply", "add", "subtract", "divide", "arctan2")

FUNCTIONS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    **{"abs": (abs, (1,)), "float": (float, (1,)), "int": (int, (1,)), "bool": (bool, (1,))},
    **{"round": (_round, (1, 2)), "pow": (_power, (2,)), "min": (min, (2, 3, 4, 5))},
    **{"max": (max, (2, 3, 4, 5)), "math.log": (math.log, (1, 2)), "np.clip": (np.clip, (3,))},
    **{f"math.{name}": (getattr(math, name), (2,)) for name in ("pow", "atan2", "fmod", "copysign", "hypot")},
    **{f"math.{name}": (getattr(math, name), (1,)) for name in _MATH_OF_ONE},
    **{f"np.{name}": (getattr(np, name), (1,)) for name in _NUMPY_OF_ONE},
    **{f"np.{name}": (getattr(np, name), (2,)) for name in _NUMPY_OF_TWO},
    **{"np.power": (_numpy_power, (2,)), "np.where": (np.where, (3,))},
}
"""The functions that an expression may call, and with how many arguments."""

CONSTANTS: Mapping[str, float] = {
    f"{module}.{name}": getattr(math, name) for module in ("math", "np") for name in ("pi", "e", "inf")
} | {"math.tau": math.tau}

BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}


@lru_cache(maxsize=64)
def parse_expression(text: str) -> ast.expr:
    """Read an expression.

    Raises:
        ValueError: It is not one, or larger than any that is honest.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"an expression of {len(text):,} characters")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"no expression: {text[:200]!r}") from error
    _check(node)
    return node


def evaluate(node: ast.expr, progress_remaining: float) -> Any:
    """Give the value of an expression, a number of Python's or NumPy's.

    Raises:
        ArithmeticError: As Python raises it, or where a whole number becomes too large.
        ValueError: A function is not defined there.
        TypeError: Likewise, as for the order of complex numbers.
    """
    if isinstance(node, ast.Name):
        return progress_remaining
    if isinstance(node, ast.IfExp):
        chosen = node.body if evaluate(node.test, progress_remaining) else node.orelse
        return evaluate(chosen, progress_remaining)
    return _operation(node)(*(evaluate(part, progress_remaining) for part in _parts(node)))


def _operation(node: ast.expr) -> Callable[..., Any]:
    """Give what a node does with its operands."""
    match node:
        case ast.UnaryOp(op=sign):
            return UNARY[type(sign)]
        case ast.BinOp(op=op):
            return BINARY[type(op)]
        case ast.Compare(ops=[comparison]):
            return COMPARISONS[type(comparison)]
        case ast.Call(func=func):
            return FUNCTIONS[dotted(func)][0]
    value = node.value if isinstance(node, ast.Constant) else CONSTANTS[dotted(node)]
    return lambda: value


def value_at(node: ast.expr, progress_remaining: float) -> float:
    """Give the value of a checked expression as a float, NaN where Python would raise."""
    try:
        with np.errstate(all="ignore"):
            return float(evaluate(node, progress_remaining))
    except (ArithmeticError, ValueError, TypeError):
        return math.nan


def dotted(node: ast.expr) -> str:
    """Give a name such as `math.cos`; "" for what is none."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return f"{module}.{name}"
    return ""


def _check(node: ast.expr) -> None:
    """Make sure that `evaluate` knows every node.

    Raises:
        ValueError: With the first that it does not know.
    """
    pending, count = [(node, 1)], 0
    while pending:
        part, depth = pending.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError("an expression that is too large")
        pending.extend((inner, depth + 1) for inner in _parts(part))


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Give the operands of a node that is known, and raise ValueError for another."""
    match node:
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float() as value) if value <= MAX_INTEGER or isinstance(value, float):
            return
        case ast.Name(id=name) if name == NAME:
            return
        case ast.Attribute() if dotted(node) in CONSTANTS:
            return
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            yield from (left, right)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
            yield from (left, right)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield from (test, body, orelse)
        case ast.Call(func=func, args=args, keywords=[]) if _takes(dotted(func), len(args)):
            yield from args
        case _:
            raise ValueError(f"{_shown(node)} is no part of an expression in {NAME}")


def _shown(node: ast.expr) -> str:
    name = dotted(node.func) + "(...)" if isinstance(node, ast.Call) else dotted(node)
    return repr(name[:100]) if name else f"a {type(node).__name__}"


def _takes(function: str, count: int) -> bool:
    return function in FUNCTIONS and count in FUNCTIONS[function][1]
