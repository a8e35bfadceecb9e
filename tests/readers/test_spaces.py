"""Spaces pickled by today's Gymnasium are read as what they are; the others are refused by name."""

import pickle
import sys
from collections import OrderedDict
from typing import Any

import cloudpickle
import numpy as np
import pytest
from gymnasium import spaces

from sb3port.checkpoint.spaces import Box, Dict, Discrete, Space, space_from_json
from sb3port.errors import NotPortable
from sb3port.readers.formats.pickles import read_pickle
from sb3port.readers.meaning.spaces import own_classes, read_space
from tests.gym_spaces import space_to_json

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


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiDiscrete([2, 3], start=[1, -2]),
        spaces.MultiDiscrete([[2, 3], [4, 5]]),
        spaces.MultiBinary(4),
        spaces.MultiBinary([2, 3]),
        spaces.MultiBinary(np.array([2, 3])),
    ],
    ids=str,
)
def test_several_choices(space: Any, protocol: int) -> None:
    space.sample()
    ours = _read(space, protocol)
    assert ours.shape == space.shape
    assert ours.to_json() == space_to_json(space)
    assert space_from_json(ours.to_json()).to_json() == ours.to_json()


def test_several_choices_of_old_gym_have_no_start() -> None:
    value = read_pickle(pickle.dumps(spaces.MultiDiscrete([2, 3])), "test").value
    del value.states[-1]["start"]
    ours = read_space(value, "test")
    assert ours.to_json() == {"type": "MultiDiscrete", "nvec": [2, 3], "start": [0, 0]}


UNSORTED = {"z": spaces.Discrete(3), "a": spaces.Box(-1.0, 1.0, (2,)), "m": spaces.MultiBinary(2)}


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("ordered", [True, False])
def test_dict_keeps_its_order(ordered: bool, protocol: int) -> None:
    space = spaces.Dict(UNSORTED)
    kept = OrderedDict(UNSORTED) if ordered else dict(UNSORTED)
    space.spaces = kept  # as gym had it, and as Gymnasium before 1.0 and since has it
    ours = _read(space, protocol)
    assert isinstance(ours, Dict)
    assert list(ours.spaces) == ["z", "a", "m"]
    assert ours.to_json() == {"type": "Dict", "spaces": {k: space_to_json(s) for k, s in UNSORTED.items()}}
    assert list(space_from_json(ours.to_json()).spaces) == ["z", "a", "m"]


def test_one_space_under_many_keys_is_read_once() -> None:
    box = spaces.Box(-1.0, 1.0, (2,))
    ours = _read(spaces.Dict({f"k{i}": box for i in range(100)}))
    assert isinstance(ours, Dict)
    assert len({id(space) for space in ours.spaces.values()}) == 1


@pytest.mark.parametrize(
    "space",
    [
        spaces.Tuple([spaces.Discrete(2)]),
        spaces.Text(3),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Graph(spaces.Discrete(2), None),
    ],
    ids=lambda space: type(space).__name__,
)
def test_other_spaces_are_named(space: spaces.Space[Any]) -> None:
    for given in (space, spaces.Dict({"a": space})):
        with pytest.raises(NotPortable, match=f"{type(space).__name__} space") as caught:
            _read(given)
        assert "Box, Discrete, MultiDiscrete, MultiBinary" in str(caught.value.hint)


def test_nested_dict_is_named() -> None:
    with pytest.raises(NotPortable, match=r"\['a'\] is a Dict space"):
        _read(spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)})}))


def _changed(space: spaces.Space[Any], **attributes: Any) -> Any:
    value = read_pickle(pickle.dumps(space), "test").value
    value.states.append(attributes)
    return value


@pytest.mark.parametrize(
    "value",
    [
        _changed(spaces.MultiDiscrete([2]), nvec=None),
        _changed(spaces.MultiDiscrete([2]), start=3),
        _changed(spaces.MultiDiscrete([2, 3]), nvec=read_pickle(pickle.dumps(np.array([2, 0])), "").value),
        _changed(spaces.MultiDiscrete([2, 3]), nvec=read_pickle(pickle.dumps(np.array([2.0, 3])), "").value),
        _changed(
            spaces.MultiDiscrete([2, 3]), nvec=read_pickle(pickle.dumps(np.array([2, 2**40])), "").value
        ),
        _changed(spaces.MultiBinary(2), n=None),
        _changed(spaces.MultiBinary(2), n=0),
        _changed(spaces.MultiBinary(2), n=(2, -1)),
        _changed(spaces.MultiBinary(2), n=()),
        _changed(spaces.Dict({"a": spaces.Discrete(2)}), spaces=None),
        _changed(spaces.Dict({"a": spaces.Discrete(2)}), spaces={}),
        _changed(spaces.Dict({"a": spaces.Discrete(2)}), spaces={1: None}),
        _changed(spaces.Dict({"a": spaces.Discrete(2)}), spaces={"a": 5}),
    ],
)
def test_damaged_spaces(value: Any) -> None:
    with pytest.raises(NotPortable):
        read_space(value, "test")


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


class Bounded(spaces.Box):
    """A space of the author's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = "metres"


class Few(spaces.Discrete):
    pass


class Several(spaces.MultiDiscrete):
    pass


class Switches(spaces.MultiBinary):
    pass


class Named(spaces.Dict):
    pass


class Odd(spaces.Box):
    """One that keeps what a Discrete has."""

    def __init__(self) -> None:
        super().__init__(-1, 1, (2,))
        self.nvec = np.array([2, 3])


OWN = [
    Bounded(-1.0, 2.0, (3,)),
    Few(4, start=1),
    Several([2, 3]),
    Switches(5),
    Switches((2, 3)),
    Named({"b": Bounded(-1, 1, (2,)), "a": spaces.Discrete(3)}),
]


def _carried(space: Any) -> bytes:
    """Pickle an object with the code of its class, as cloudpickle does where it is the script's own."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(space)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.parametrize("dumps", [pickle.dumps, _carried], ids=["by name", "with its code"])
@pytest.mark.parametrize("space", OWN, ids=str)
def test_a_class_of_the_author_s_own_is_read_by_its_state(space: Any, dumps: Any) -> None:
    value = read_pickle(dumps(space), "test").value
    assert read_space(value, "space").to_json() == space_to_json(space)
    sentence, *others = own_classes(value, "observation_space")
    assert "observation_space is of the class " in sentence
    assert type(space).__name__ in sentence
    assert sentence.endswith(f"it is taken for the {type(space).__base__.__name__} whose state it has")
    assert len(others) == isinstance(space, Named)


def test_a_state_that_fits_several_is_refused() -> None:
    with pytest.raises(NotPortable, match="its state fits Box and MultiDiscrete alike"):
        read_space(read_pickle(pickle.dumps(Odd()), "test").value, "space")


def test_gymnasium_s_own_are_not_spoken_of() -> None:
    space = spaces.Dict({"a": spaces.Box(-1, 1, (2,))})
    assert own_classes(read_pickle(pickle.dumps(space), "test").value, "space") == []


def test_what_is_no_space_is_refused() -> None:
    with pytest.raises(NotPortable, match="is not a Gym or Gymnasium space"):
        read_space(read_pickle(pickle.dumps(OrderedDict()), "test").value, "space")
