"""numpy values inside a pickle: what `numpy.ndarray`, `numpy.dtype` and numpy scalars are pickled as.

Names are those of numpy 1 (`numpy.core`) and numpy 2 (`numpy._core`); data stays bytes until its length,
shape and type have been checked.
"""

import math
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, Scalar, frozen
from sb3port.errors import NotPortable
from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.records import Global, Record, describe

_PLAIN_DTYPES = frozenset(
    ("b1", "?", "f2", "f4", "f8", *(f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)))
)
_MAX_DIMENSIONS = 32
_MAX_NUMBER = 2**1000
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_SCALAR_TYPES = ("bool", "bool_", "float16", "float32", "float64", *_INTEGERS)
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
RECONSTRUCT = tuple(f"{module}._reconstruct" for module in _MULTIARRAY)
SCALAR = tuple(f"{module}.scalar" for module in _MULTIARRAY)
_EMPTY_BYTES = ("__builtin__.bytes", "builtins.bytes")
FROMBUFFER = tuple(f"{module}._frombuffer" for module in _NUMERIC)


def as_dtype(value: Any) -> np.dtype[Any]:
    """Read a pickled `numpy.dtype`, or a numpy scalar type such as `numpy.float32`.

    Raises:
        NotPortable: It is not a plain boolean, integer or floating-point type.
    """
    if isinstance(value, Global) and value.module == "numpy" and value.name in _SCALAR_TYPES:
        return np.dtype(value.name.rstrip("_"))
    if not isinstance(value, Record) or not value.calls("numpy.dtype") or not value.args:
        raise NotPortable(f"a numpy dtype was expected, not {describe(value)}")
    dtype = np.dtype(_checked_code(value.args[0]))
    state = value.states[-1] if value.states else ()
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    return dtype.newbyteorder(">") if order == ">" else dtype


def as_array(value: Any) -> Array:
    """Read a pickled `numpy.ndarray` of any protocol as a read-only array.

    Raises:
        NotPortable: It is not an array, or its bytes do not fit its shape and type.
    """
    if not isinstance(value, Record):
        raise NotPortable(f"a numpy array was expected, not {describe(value)}")
    if value.decoded is None:  # it may be shared by many
        value.decoded = _decoded(value)
    decoded: Array = value.decoded
    return decoded


def _decoded(value: Record) -> Array:
    if value.calls(*RECONSTRUCT) and value.states:
        return _from_state(value.states[-1])
    if value.calls(*FROMBUFFER) and len(value.args) >= 3:
        data, dtype, shape, *order = value.args
        if order not in ([], ["C"], ["F"]):
            raise NotPortable("a pickled numpy array has its elements in an unknown order")
        return _from_bytes(data, as_dtype(dtype), shape, fortran=order == ["F"])
    raise NotPortable(f"a numpy array was expected, not {describe(value)}")


def as_number(value: Any) -> bool | int | float:
    """Read a Python or numpy number.

    Raises:
        NotPortable: It is not a number.
    """
    if isinstance(value, bool | int | float):
        if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
            raise NotPortable("a number is too large for any setting")
        return value
    if isinstance(value, Record) and value.calls(*SCALAR) and len(value.args) == 2:
        number: bool | int | float = _from_bytes(value.args[1], as_dtype(value.args[0]), ()).item()
        return number
    if isinstance(value, Record) and value.calls(*RECONSTRUCT, *FROMBUFFER):
        return as_number_of(as_array(value))
    raise NotPortable(f"a number was expected, not {describe(value)}")


def as_integer(value: Any) -> int:
    """Read a Python or numpy number that has no fraction.

    Raises:
        NotPortable: It is not such a number.
    """
    number = as_number(value)
    if not math.isfinite(number) or number != int(number):
        raise NotPortable(f"a whole number was expected, not {number}")
    return int(number)


def as_number_of(array: Array) -> bool | int | float:
    """Give the one element of an array.

    Raises:
        NotPortable: It has another number of elements.
    """
    if array.size != 1:
        raise NotPortable(f"one number was expected, not an array of shape {array.shape}")
    number: bool | int | float = array.reshape(()).item()
    return number


def as_float64(value: Any) -> Array:
    """Read an array or number as a float64 array of its own shape."""
    is_array = isinstance(value, Record) and value.calls(*RECONSTRUCT, *FROMBUFFER)
    return as_type(as_array(value) if is_array else np.asarray(as_number(value)), np.dtype(np.float64))


def as_type(array: Array, dtype: np.dtype[Any]) -> Array:
    """Give an array as one of another type, itself where it has it; a copy is charged."""
    if array.dtype == dtype:
        return array
    spend(Cost.MEMORY, array.size * dtype.itemsize, "a numpy array")
    return frozen(array.astype(dtype))


def _from_state(state: Any) -> Array:
    """Read ndarray's `__setstate__` argument: (version, shape, dtype, is Fortran order, data)."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise NotPortable("a pickled numpy array has a state of another form")
    _, shape, dtype, fortran, data = state
    return _from_bytes(data, as_dtype(dtype), shape, fortran=fortran is True)


def _from_bytes(data: Any, dtype: np.dtype[Any], shape: Any, fortran: bool = False) -> Array:
    raw, lengths = _as_bytes(data), _as_shape(shape)
    if len(raw) != math.prod(lengths) * dtype.itemsize:
        raise NotPortable(f"a pickled numpy array of {len(raw)} bytes does not fit {lengths} of {dtype}")
    spend(Cost.MEMORY, len(raw), "a numpy array")
    flat = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
    try:
        return frozen(flat.reshape(lengths, order="F" if fortran else "C"))
    except (ValueError, OverflowError) as error:  # an empty array of astronomical shape
        raise NotPortable(f"a pickled numpy array cannot have the shape {lengths}") from error


def _as_bytes(value: Any) -> bytes:
    """Bytes, or what protocol 2 and below write instead: `_codecs.encode(text, "latin1")`."""
    if isinstance(value, Record) and value.calls("_codecs.encode") and value.args[1:] == ("latin1",):
        return _encoded(value.args[0])
    if isinstance(value, Record) and value.calls(*_EMPTY_BYTES) and value.args == ():
        return b""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise NotPortable(f"the bytes of a numpy array were expected, not {describe(value)}")


def _encoded(text: Any) -> bytes:
    try:
        return str.encode(text, "latin1")
    except (TypeError, UnicodeEncodeError) as error:
        raise NotPortable("the bytes of a numpy array are not Latin-1 text") from error


def _as_shape(value: Any) -> tuple[int, ...]:
    shape = value if isinstance(value, tuple) else (value,)
    if len(shape) > _MAX_DIMENSIONS or not all(type(length) is int and length >= 0 for length in shape):
        raise NotPortable("a pickled numpy array has a shape that is not made of numbers")
    return shape


def _checked_code(code: Any) -> str:
    if not isinstance(code, str) or code not in _PLAIN_DTYPES:
        shown = repr(code[:40]) if isinstance(code, str) else describe(code)
        raise NotPortable(f"numpy arrays of type {shown} are not read")
    return code


def is_number(value: Any) -> bool:
    """Whether a value is a Python or numpy number."""
    return isinstance(value, bool | int | float) or (isinstance(value, Record) and value.calls(*SCALAR))


def as_plain(value: Any, where: str) -> Scalar:
    """Read None, a text or a number.

    Raises:
        NotPortable: It is none of these.
    """
    if value is None or isinstance(value, str):
        return value
    if not is_number(value):
        raise NotPortable(f"{where} is not a plain value")
    return as_number(value)


def as_flag(value: Any, where: str) -> bool:
    """Read a Python or numpy boolean.

    Raises:
        NotPortable: It is neither True nor False.
    """
    flag = as_plain(value, where)
    if not isinstance(flag, bool):
        raise NotPortable(f"{where} is neither True nor False")
    return flag
