"""Arithmetic on what is not known yet: numbers stay numbers, and whatever the progress decides grows a tree.

The trees are those of `checkpoint/expressions.py`, and no larger than it allows.
"""

import ast
import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from sb3port.checkpoint.expressions import (
    BINARY,
    COMPARISONS,
    FUNCTIONS,
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_NODES,
    NAME,
    UNARY,
    evaluate,
)
from sb3port.readers.formats.bytecode import NotExpressible
from sb3port.readers.formats.records import describe


@dataclass(frozen=True)
class Symbol:
    """An expression, with how many nodes it has and how deep they lie."""

    node: ast.expr
    size: int = 1
    depth: int = 1


Quantity: TypeAlias = bool | int | float | Symbol
"""What can be calculated with."""

PROGRESS = Symbol(ast.Name(NAME, ast.Load()))
_BINARY = dict(zip(("+", "-", "*", "/", "//", "%", "**"), BINARY, strict=True))
_COMPARISONS = dict(zip(("<", "<=", ">", ">=", "==", "!="), COMPARISONS, strict=True))
_UNARY = dict(zip(("-", "+", "not"), UNARY, strict=True))


def quantity(value: Any) -> Quantity:
    """Give a value that can be calculated with.

    Raises:
        NotExpressible: It is none.
    """
    if isinstance(value, bool | int | float | Symbol):
        return value
    raise NotExpressible(f"it calculates with {describe(value)}")


def unary(word: str, operand: Quantity) -> Quantity:
    """Give `-a`, `+a` or `not a`."""
    return _grown(ast.UnaryOp(_UNARY[word](), as_symbol(operand).node), operand)


def binary(word: str, left: Quantity, right: Quantity) -> Quantity:
    """Give `a + b` and the like.

    Raises:
        NotExpressible: The operator is none of arithmetic's.
    """
    if word not in _BINARY:
        raise NotExpressible(f"it uses the operator {word}")
    node = ast.BinOp(as_symbol(left).node, _BINARY[word](), as_symbol(right).node)
    return _grown(node, left, right)


def compare(word: str, left: Quantity, right: Quantity) -> Quantity:
    """Give `a < b` and the like; errors are those of `binary`."""
    if word not in _COMPARISONS:
        raise NotExpressible(f"it uses the operator {word}")
    node = ast.Compare(as_symbol(left).node, [_COMPARISONS[word]()], [as_symbol(right).node])
    return _grown(node, left, right)


def choose(test: Quantity, body: Quantity, orelse: Quantity) -> Quantity:
    """Give `body if test else orelse`."""
    node = ast.IfExp(as_symbol(test).node, as_symbol(body).node, as_symbol(orelse).node)
    return _grown(node, test, body, orelse)


def call(name: str, args: tuple[Quantity, ...]) -> Quantity:
    """Give a call of one of `FUNCTIONS`.

    Raises:
        NotExpressible: It is none of them, or takes another number of arguments.
    """
    if name not in FUNCTIONS or len(args) not in FUNCTIONS[name][1]:
        raise NotExpressible(f"it calls {name}")
    module, _, function = name.rpartition(".")
    func: ast.expr = ast.Name(function, ast.Load())
    if module:
        func = ast.Attribute(ast.Name(module, ast.Load()), function, ast.Load())
    return _grown(ast.Call(func, [as_symbol(arg).node for arg in args], []), *args)


def as_symbol(value: Quantity) -> Symbol:
    """Give a number as an expression.

    Raises:
        NotExpressible: It is NaN, or a whole number that is too large.
    """
    if isinstance(value, Symbol):
        return value
    if math.isnan(value) or (isinstance(value, int) and abs(value) > MAX_INTEGER):
        raise NotExpressible("it uses a number that is none")
    if math.copysign(1.0, value) < 0:
        return Symbol(ast.UnaryOp(ast.USub(), as_symbol(-value).node), 2, 2)
    if value == math.inf:
        return Symbol(ast.Attribute(ast.Name("math", ast.Load()), "inf", ast.Load()))
    return Symbol(ast.Constant(value))


def symbol_of(node: ast.expr) -> Symbol:
    """Give a checked expression as a symbol."""
    inner = [symbol_of(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
    return Symbol(node, 1 + sum(s.size for s in inner), 1 + max((s.depth for s in inner), default=0))


def _grown(node: ast.expr, *operands: Quantity) -> Quantity:
    """Give an expression of these operands, or its value where it is known."""
    known = all(not isinstance(operand, Symbol) for operand in operands)
    if known and (value := _value(node)) is not None:
        return value
    symbols = [as_symbol(operand) for operand in operands]
    size, depth = 1 + sum(s.size for s in symbols), 1 + max(s.depth for s in symbols)
    if size > MAX_NODES or depth > MAX_DEPTH:
        raise NotExpressible("it is too long")
    return Symbol(node, size, depth)


def _value(node: ast.expr) -> bool | int | float | None:
    """Give what an expression of numbers comes to, if that is one of Python's own numbers."""
    try:
        with np.errstate(all="ignore"):
            value = evaluate(node, 1.0)
    except (ArithmeticError, ValueError, TypeError):
        return None
    fits = type(value) in (bool, float) or (type(value) is int and abs(value) <= MAX_INTEGER)
    return value if fits and math.isfinite(value) else None
