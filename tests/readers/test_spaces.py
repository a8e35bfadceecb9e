"""Spaces pickled by today's Gymnasium are read as what they are; the others are refused by name."""

import pickle
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from sb3port.errors import NotPortable
from sb3port.readers.pickles import read_pickle
from sb3port.readers.spaces import read_space
from sb3port.spaces import Box, Discrete, Space, space_from_json

BOXES = [
    spaces.Box(-1.0, 1.0, (3,)),
    spaces.Box(-np.inf, np.inf, (17,), np.float64),
    spaces.Box(np.array([-1.0, -np.inf], np.float32), np.array([2.0, 3.5], np.float32)),
    spaces.Box(-np.ones((2, 3)), np.arange(6.0).reshape(2, 3), dtype=np.float64),
    spaces.Box(np.asfortranarray(-np.arange(6.0).reshape(2, 3)), np.ones((2, 3)), dtype=np.float64),
    spaces.Box(0, 255, (4, 4, 3), np.uint8),
    spaces.Box(0.0, 1.0, ()),
]


def _read(space: spaces.Space[Any], protocol: int = pickle.DEFAULT_PROTOCOL) -> Space:
    return read_space(read_pickle(pickle.dumps(space, protocol), "test").value, "test: space")


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("space", BOXES, ids=str)
def test_box(space: spaces.Box, protocol: int) -> None:
    space.sample()  # now it holds random state, too
    ours = _read(space, protocol)
    assert isinstance(ours, Box)
    assert (ours.shape, ours.dtype) == (space.shape, np.dtype(space.dtype).name)
    for mine, theirs in ((ours.low, space.low), (ours.high, space.high)):
        assert (mine.dtype, mine.tobytes()) == (theirs.dtype, theirs.tobytes("C"))
    again = space_from_json(ours.to_json())
    assert isinstance(again, Box)
    np.testing.assert_array_equal(again.low, space.low)
    np.testing.assert_array_equal(again.high, space.high)


@pytest.mark.parametrize(
    "space", [spaces.Discrete(2), spaces.Discrete(5, start=-3), spaces.Discrete(np.int64(7))]
)
def test_discrete(space: spaces.Discrete) -> None:
    assert _read(space) == Discrete(int(space.n), int(space.start))


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(4),
        spaces.Dict({"a": spaces.Discrete(2)}),
        spaces.Tuple([spaces.Discrete(2)]),
    ],
    ids=lambda space: type(space).__name__,
)
def test_other_spaces_are_named(space: spaces.Space[Any]) -> None:
    with pytest.raises(NotPortable, match=f"{type(space).__name__} space") as caught:
        _read(space)
    assert "Box and Discrete" in str(caught.value.hint)


def _damaged(**attributes: Any) -> Any:
    value = read_pickle(pickle.dumps(spaces.Box(-1.0, 1.0, (3,))), "test").value
    value.states.append(attributes)
    return value


@pytest.mark.parametrize(
    "attributes",
    [{"_shape": 3}, {"_shape": (4,)}, {"_shape": None}, {"low": None}, {"dtype": None}, {"high": 1.0}],
)
def test_damaged_boxes(attributes: dict[str, Any]) -> None:
    with pytest.raises(NotPortable):
        read_space(_damaged(**attributes), "test")


@pytest.mark.parametrize("n", [0, -1, 1.5, float("nan"), float("inf"), 10**400, "2", None])
def test_damaged_discrete(n: Any) -> None:
    value = read_pickle(pickle.dumps(spaces.Discrete(2)), "test").value
    value.states.append({"n": n})
    with pytest.raises(NotPortable):
        read_space(value, "test")


@pytest.mark.parametrize("value", [None, 3, "Box", {}])
def test_what_is_no_space(value: Any) -> None:
    with pytest.raises(NotPortable, match="not a Gym"):
        read_space(value, "test")
