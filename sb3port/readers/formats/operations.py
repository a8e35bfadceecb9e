"""The opcodes of a pickle with their arguments, as `pickletools.genops` gives them, in a third of its time.

Those that pickles are full of are decoded here where they are whole; whatever is rare, broken off or unknown
is left to `pickletools`, so that it says the same of it.
"""

import pickletools
from collections.abc import Callable, Iterator
from io import BytesIO
from struct import Struct
from typing import Any, BinaryIO, TypeAlias

_Decode: TypeAlias = Callable[[bytes, int], Any]


def operations(data: bytes | BinaryIO) -> Iterator[tuple[str, Any]]:
    """Give the name and the argument of every opcode, up to STOP.

    Args:
        data: The pickle; a stream is left where the pickle ends.

    Raises:
        ValueError: It breaks off, or an opcode in it is unknown.
    """
    if isinstance(data, bytes):
        yield from _of_bytes(data)
    else:
        yield from ((opcode.name, arg) for opcode, arg, _ in pickletools.genops(data))


def _of_bytes(data: bytes) -> Iterator[tuple[str, Any]]:
    position, end = 0, len(data)
    while position < end:
        name, size, decode = _FAST[data[position]]
        begin = position + 1
        if 0 <= size <= end - begin:
            position = begin + size
            yield name, decode(data, begin) if decode else None
            if name == "STOP":
                return
            continue
        length = _TEXTS.get(name)
        if length is not None and end - begin >= length.size:
            first = begin + length.size
            last = first + length.unpack_from(data, begin)[0]
            if last <= end:
                position = last
                yield name, str(data[first:last], "utf-8", "surrogatepass")
                continue
        name, arg, position = _left_to_pickletools(data, position)
        yield name, arg
    raise ValueError("pickle exhausted before seeing STOP")


def _left_to_pickletools(data: bytes, position: int) -> tuple[str, Any, int]:
    opcode = pickletools.code2op.get(chr(data[position]))  # type: ignore[attr-defined] # which genops uses
    if opcode is None:
        raise ValueError(f"at position {position}, opcode {data[position : position + 1]!r} unknown")
    stream = BytesIO(data)
    stream.seek(position + 1)
    arg = opcode.arg.reader(stream) if opcode.arg is not None else None
    return opcode.name, arg, stream.tell()


def _unpacking(form: str) -> tuple[int, _Decode]:
    struct = Struct(form)
    return struct.size, lambda data, position: struct.unpack_from(data, position)[0]


_NUMBERS = {
    "BININT": "<i",
    "BININT1": "<B",
    "BININT2": "<H",
    "BINFLOAT": ">d",
    "BINGET": "<B",
    "BINPUT": "<B",
    "LONG_BINGET": "<I",
    "LONG_BINPUT": "<I",
    "PROTO": "<B",
    "FRAME": "<Q",
}
_TEXTS = {"SHORT_BINUNICODE": Struct("<B"), "BINUNICODE": Struct("<I")}
_FAST: list[tuple[str, int, _Decode | None]] = [("", -1, None)] * 256
for _opcode in pickletools.opcodes:
    if _opcode.arg is None:
        _FAST[ord(_opcode.code)] = (_opcode.name, 0, None)
    elif _opcode.name in _NUMBERS:
        _FAST[ord(_opcode.code)] = (_opcode.name, *_unpacking(_NUMBERS[_opcode.name]))
    else:
        _FAST[ord(_opcode.code)] = (_opcode.name, -1, None)
