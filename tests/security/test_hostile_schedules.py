"""Schedules whose code is hostile: nothing of it runs, nothing takes long, and all of it is custom."""

import random
import zlib
from contextlib import suppress
from typing import Any

import pytest

from sb3port.checkpoint.schedules import CustomSchedule
from sb3port.errors import NotPortable
from sb3port.files.budget import budget
from sb3port.readers.formats.opcodes import VERSIONS
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.formats.records import Global, Record
from sb3port.readers.meaning.schedules import read_schedule
from tests.conftest import REPOSITORY

from .hostile import bounded

FOLDER = REPOSITORY / "fixtures" / "schedules"
_CODE_TYPE = Record(Global("cloudpickle.cloudpickle", "_builtin_type"), ("CodeType",))
_MAKE = Global("cloudpickle.cloudpickle", "_make_function")


def function(
    code: bytes, consts: tuple[Any, ...] = (None, 2.0), cells: tuple[Any, ...] = (), **scope: Any
) -> Record:
    """A function of 3.12 of one argument, by its bytes."""
    names, free = tuple(scope), tuple(f"free{number}" for number in range(len(cells)))
    args = (1, 0, 0, 1, 9, 3, code, consts, names, ("p",), "f.py", "f", "f", 1, b"", b"", free, ())
    made = Record(_MAKE, (Record(_CODE_TYPE, args), {}, None, None, None))
    held = tuple(Record(Global("cloudpickle.cloudpickle", "_make_cell"), (cell,)) for cell in cells)
    made.states.append(({}, {"__globals__": scope, "__closure__": held, "__qualname__": "f"}))
    return made


RESUME = bytes([151, 0])
LOAD, STORE, RETURN = bytes([124, 0]), bytes([125, 0]), bytes([83, 0])
TIMES, PLUS = bytes([122, 5, 0, 0]), bytes([122, 0, 0, 0])


def test_the_bytes_are_those_of_a_function() -> None:
    schedule = read_schedule(function(RESUME + LOAD + LOAD + TIMES + RETURN), "it")
    assert str(schedule) == "progress_remaining * progress_remaining"


def calling(count: int, inner: bytes = b"") -> Record:
    """A function that calls another twice, and that one another."""
    called = function(RESUME + inner + LOAD + RETURN)
    # PUSH_NULL, LOAD_GLOBAL f, LOAD_FAST p, CALL 1
    call = bytes([2, 0, 116, 0]) + bytes(8) + LOAD + bytes([171, 1]) + bytes(6)
    for _ in range(count):
        called = function(RESUME + call + call + PLUS + RETURN, f=called)
    return called


def recursive() -> Record:
    made = calling(1)
    made.states[0][1]["__globals__"]["f"] = made
    return made


def partials(count: int) -> Record:
    made: Any = Global("math", "cos")
    for _ in range(count):
        inner, made = made, Record(Global("functools", "partial"), (made,))
        made.states.append((inner, (), {}, {}))
    return made


# COMPARE_OP < with itself, POP_JUMP_IF_FALSE over nothing: two ways that meet again, each time.
FORK = LOAD + LOAD + bytes([107, 2, 0, 0]) + bytes([114, 0])
HOSTILE = {
    "doubling": function(RESUME + (LOAD + LOAD + PLUS + STORE) * 200 + LOAD + RETURN),
    "forking": function(RESUME + FORK * 200 + LOAD + RETURN),
    "long": calling(1, bytes([9, 0]) * 9_000),
    "too long": function(RESUME + bytes([9, 0]) * 900_000 + LOAD + RETURN),
    "tower": function(RESUME + bytes([100, 1]) * 60 + bytes([122, 8, 0, 0]) * 59 + RETURN, (None, 99)),
    "calls of calls": calling(60),
    "recursive": recursive(),
    "partials": partials(5_000),
    "no bytes": function(b""),
    "half an instruction": function(b"\x97"),
    "arguments": function(RESUME + bytes([144, 255]) * 9 + LOAD + RETURN),
    "jump to itself": function(RESUME + bytes([110, 0]) * 3 + bytes([140, 2]) + RETURN),
    "stack": function(RESUME + bytes([1, 0]) + LOAD + RETURN),
    "cells": function(RESUME + bytes([137, 200]) + RETURN),
    "text": function(RESUME + LOAD + bytes([100, 0]) + TIMES + RETURN, ("x" * 1000,)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_is_custom(name: str) -> None:
    with bounded(), budget(1.0):
        assert isinstance(read_schedule(HOSTILE[name], "it"), CustomSchedule)


@pytest.mark.parametrize("python", [".".join(map(str, version)) for version in VERSIONS[:-1]])
def test_random_bytes_are_custom_or_a_formula(python: str) -> None:
    """Whatever the bytes are, nothing but a schedule or a refusal for their cost comes of them."""
    rng = random.Random(python)
    functions = read_pickle(zlib.decompress((FOLDER / f"{python}.pkl.z").read_bytes()), python).value
    with bounded():
        for _ in range(400):
            changed = mutated(rng.choice(list(functions.values())), rng)
            with budget(1.0), suppress(NotPortable):  # of what it costs
                str(read_schedule(changed, "it"))


def mutated(function: Record, rng: random.Random) -> Record:
    """Change bytes of a function's code, or other arguments of it."""
    args = list(function.args)
    at = next((n for n, arg in enumerate(args) if isinstance(arg, Record)), None)
    if at is None:
        return function
    if args[at].calls("cloudpickle.cloudpickle._make_skel_func"):
        inner = args[at]
        args[at] = Record(inner.target, mutated(inner, rng).args)
    else:
        args[at] = Record(args[at].target, tuple(_changed(arg, rng) for arg in args[at].args))
    return Record(function.target, tuple(args), states=function.states)


def _changed(arg: Any, rng: random.Random) -> Any:
    if isinstance(arg, bytes) and arg and rng.random() < 0.8:
        raw = bytearray(arg)
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw[: rng.randrange(1, len(raw) + 1)] if rng.random() < 0.2 else raw)
    if rng.random() < 0.05:
        return rng.choice([None, (), -1, 2**70, "x", (("x", []),), b"", [], {}, 1.5])
    return arg
