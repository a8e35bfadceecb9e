"""The symbolic reader gives what `pickle.loads` gives, for plain values and numpy, in every protocol."""

import pickle
import random
import types
from typing import Any

import numpy as np
import pytest

from sb3port.errors import MalformedPickle, NotPortable
from sb3port.files.budget import budget
from sb3port.readers.formats.arrays import as_array, as_dtype, as_number
from sb3port.readers.formats.pickles import read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", ">i2", ">u4", ">f4", ">f8", "<f4"),
]


def _random_value(rng: random.Random, depth: int) -> Any:
    leaves = (
        None,
        True,
        False,
        0,
        -1,
        255,
        256,
        65536,
        2**31,
        -(2**40),
        2**127,
        1.5,
        float("inf"),
        "",
        "é\n'\\",
        "x" * 300,
    )
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(leaves)
    children = [_random_value(rng, depth - 1) for _ in range(rng.randrange(5))]
    keys = [rng.choice(("a", "b", 1, 2.5, (1, ("x", None)), None, frozenset({1, 2}))) for _ in children]
    return rng.choice((children, tuple(children), dict(zip(keys, children, strict=True))))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_values(protocol: int) -> None:
    rng = random.Random(protocol)
    for _ in range(200):
        value = _random_value(rng, 4)
        if protocol < 4 and "frozenset" in repr(value):
            continue  # older protocols call the class, which we do not
        data = pickle.dumps(value, protocol)
        assert repr(read_pickle(data, "test").value) == repr(pickle.loads(data))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_and_sets(protocol: int) -> None:
    values = [b"", b"\x00\xff" * 200] + ([bytearray(b"abc")] if protocol == 5 else [])
    values += [{1, "a", (2, 3)}] if protocol >= 4 else []
    data = pickle.dumps(values, protocol)
    assert read_pickle(data, "test").value == values


def test_shared_and_cyclic_values() -> None:
    shared: list[Any] = [1]
    value: list[Any] = [shared, shared]
    value.append(value)
    ours = read_pickle(pickle.dumps(value), "test").value
    assert ours[0] is ours[1]
    assert ours[2] is ours


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays(protocol: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for shape in [(), (1,), (0,), (3,), (2, 3), (0, 4), (2, 3, 4)]:
        flat = np.array(rng.standard_normal(shape) * 100).astype(dtype)
        for array in (flat, np.asfortranarray(flat), flat[..., ::2] if flat.ndim else flat, flat.T):
            ours = as_array(read_pickle(pickle.dumps(array, protocol), "test").value)
            assert (ours.shape, ours.dtype) == (array.shape, array.dtype.newbyteorder("="))
            np.testing.assert_array_equal(ours, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_scalars_and_dtypes(protocol: int, dtype: str) -> None:
    scalar = np.dtype(dtype).type(1.0)
    number = as_number(read_pickle(pickle.dumps(scalar, protocol), "test").value)
    assert (type(number), number) == (type(scalar.item()), scalar.item())
    assert as_dtype(read_pickle(pickle.dumps(np.dtype(dtype), protocol), "test").value) == np.dtype(dtype)
    assert (
        as_dtype(read_pickle(pickle.dumps(np.dtype(dtype).type, protocol), "test").value).name
        == np.dtype(dtype).name
    )


@pytest.mark.parametrize("dtype", ["U3", "S3", "O", "M8[s]", "c8", [("a", "f4")]])
def test_other_dtypes_are_refused(dtype: Any) -> None:
    value = read_pickle(pickle.dumps(np.zeros(2, dtype)), "test").value
    with pytest.raises(NotPortable):
        as_array(value)


def test_globals_are_named_and_not_imported() -> None:
    data = b"cnot_a_module\nThing\n(I1\ntR}S'a'\nI2\nsb."
    pickled = read_pickle(data, "test")
    assert [str(name) for name in pickled.imports] == ["not_a_module.Thing"]
    assert pickled.value.calls("not_a_module.Thing")
    assert (pickled.value.args, pickled.value.attributes) == ((1,), {"a": 2})


def test_later_states_are_laid_over_earlier_ones() -> None:
    data = b"cx\nY\n)\x81}(S'a'\nI1\nS'b'\nI1\nub}S'a'\nI2\nsb."
    assert read_pickle(data, "test").value.attributes == {"a": 2, "b": 1}


def test_marks_nest_and_drop_as_in_pickle() -> None:
    for data in (
        b"((I1\nI2\ntI3\nt.",
        b"(I1\n(I2\nI3\n1I4\nt.",
        b"(I1\n(0I2\nt.",
        b"I1\n2\x86.",
        b"(I1\nI2\nl.",
    ):
        assert read_pickle(data, "test").value == pickle.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"(.",
        b"0.",
        b"I1\n",
        b"\x80\x05K",
        b"t.",
        b"h\x05.",
        b"K\x01b.",
        b"\x82\x01.",
        b"X\xff\xff\xff\x7fab.",
        b"garbage",
    ],
)
def test_what_is_no_pickle(data: bytes) -> None:
    with pytest.raises(MalformedPickle):
        read_pickle(data, "test")


def test_more_opcodes_than_allowed() -> None:
    data = b"(" + b"N0" * 145_000 + b"t."
    assert read_pickle(data, "test").value == ()
    with pytest.raises(NotPortable, match="takes more than 300,000 opcodes of pickles"):
        read_pickle(b"N0" * 10_000 + data, "test")


def test_all_pickles_of_a_command_share_its_opcodes() -> None:
    data = b"(" + b"N0" * 70_000 + b"t."
    with budget(1):
        for _ in range(2):
            read_pickle(data, "test")
        with pytest.raises(NotPortable, match="opcodes"):
            read_pickle(data, "test")
    with budget(4):
        for _ in range(3):
            read_pickle(data, "test")


def test_a_shared_code_object_is_only_a_record() -> None:
    import cloudpickle

    function = types.FunctionType(compile("1/0", "<x>", "exec"), {"__name__": "__main__"}, "explode")
    assert "ZeroDivisionError" not in str(read_pickle(cloudpickle.dumps(function), "test"))


def test_integers_are_bounded() -> None:
    assert read_pickle(pickle.dumps(2**999), "test").value == 2**999
    with pytest.raises(MalformedPickle, match="1001 bits"):
        read_pickle(pickle.dumps(2**1000), "test")
