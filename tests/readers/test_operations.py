"""Opcodes are what `pickletools.genops` gives, for whole pickles and for broken ones."""

import pickle
import pickletools
import random
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import pytest

from sb3port.readers.formats.operations import operations

VALUES = (
    {
        "a": [1, -1, 255, 65_536, 2**31 - 1, 2**40, 2**3000, 0.5, None, True],
        "é\u2028\ud800": ("x", b"y" * 300),
    },
    OrderedDict(a={1, 2}, b=frozenset({3}), c=bytearray(b"z"), d="w" * 300),
    [["shared"] * 300, tuple(range(300)), range(3), complex(1, 2)],
)


def told(given: Iterable[Any]) -> list[Any]:
    """Give what comes, and in the end the error by its kind and words."""
    found: list[Any] = []
    try:
        for one in given:
            found.append(one)
    except Exception as error:
        found.append((type(error), str(error)))
    return found


def expected(data: bytes) -> list[Any]:
    return told((opcode.name, arg) for opcode, arg, _ in pickletools.genops(data))


@pytest.mark.parametrize("protocol", range(6))
def test_they_are_those_of_pickletools(protocol: int) -> None:
    drawn = random.Random(protocol)
    for value in VALUES:
        whole = pickle.dumps(value, protocol)
        assert told(operations(whole)) == expected(whole)
        for end in {0, 1, len(whole) - 1, *(drawn.randrange(len(whole)) for _ in range(100))}:
            assert told(operations(whole[:end])) == expected(whole[:end])
        for _ in range(200):
            changed = bytearray(whole)
            changed[drawn.randrange(len(changed))] = drawn.randrange(256)
            assert told(operations(bytes(changed))) == expected(bytes(changed))


def test_what_follows_stop_is_left_alone() -> None:
    assert told(operations(pickle.dumps(1) + b"\xff")) == expected(pickle.dumps(1))
