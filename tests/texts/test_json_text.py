"""JSON with an indent is what `json.dumps` writes, to the byte."""

import json
import math
import random
from typing import Any

import pytest

from sb3port.files.texts.json_text import json_text


def drawn(source: random.Random, depth: int) -> Any:
    """Draw a value of any kind."""
    text = 'é\u2028\ud800"\\\n' + chr(source.randrange(0x110000))
    number = source.random() * 10 ** source.randint(-300, 300)
    kind = source.randrange(10 if depth else 8)
    if kind < 8:
        return (None, True, False, number, source.randint(-(2**70), 2**70), text, [], {})[kind]
    inside = [drawn(source, depth - 1) for _ in range(source.randrange(4))]
    keys = source.sample(["a", "é", "B", "10", "9"], len(inside))
    return dict(zip(keys, inside, strict=True)) if kind == 8 else inside


def test_it_is_what_json_writes() -> None:
    source = random.Random(0)
    for _ in range(1000):
        value = drawn(source, 4)
        for indent in (1, 2):
            for sort_keys in (False, True):
                written = json_text(value, indent, sort_keys).text
                assert written == json.dumps(value, indent=indent, sort_keys=sort_keys)
    odd = {7: (2,), None: [], True: {}, 2.5: "x"}
    assert json_text(odd, 2).text == json.dumps(odd, indent=2)


@pytest.mark.parametrize(
    "value",
    [
        [0.5, -1e-30, 3.0],
        [(1.0, 2.0), (-0.0, 1e300)],
        [[1.5, 2], [3]],
        [[1.5], []],
        [[1.5], [[2.5]]],
        [1.5, "], [", None],
        [[1.5, "], ["], [2.5]],
        [[1.5], {"a": 1}],
        [1.5, True],
    ],
    ids=str,
)
def test_numbers_in_lists(value: Any) -> None:
    for indent in (1, 4):
        assert json_text({"a": value}, indent).text == json.dumps({"a": value}, indent=indent)


def test_what_python_has_beyond_json() -> None:
    value = {"bounds": [-math.inf, 1.5], "rows": [[math.nan, 2.0]], "one": math.inf}
    assert json_text(value, 2, strict=False).text == json.dumps(value, indent=2)


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": {"b": -math.inf}}], ids=str)
def test_what_json_has_not(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text(value, 1)
