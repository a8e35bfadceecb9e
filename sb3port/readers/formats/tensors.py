"""torch's serialisation read as numpy arrays: `policy.pth` and `policy.optimizer.pth`, without torch.

Layout (`torch/serialization.py`): a zip with one folder that holds `data.pkl`, whose persistent ids name the
storages in `data/<key>`, raw bytes each. A tensor is a view of a storage: offset, size and stride. What torch
wrote before 1.6 is a row of pickles and storages instead, see `legacy_tensors`.
"""

import io
import math
import zipfile
from typing import Any, Literal, Protocol

import numpy as np

from sb3port.checkpoint.checkpoint import Array, frozen
from sb3port.errors import NotPortable
from sb3port.files.budget import Cost, metered, spend
from sb3port.readers.formats.arrays import SCALAR, as_number
from sb3port.readers.formats.legacy_tensors import read_legacy
from sb3port.readers.formats.pickles import TORCH_MAGIC, read_pickle
from sb3port.readers.formats.records import Global, PersistentId, Record, describe
from sb3port.readers.formats.remembering import recalled
from sb3port.readers.formats.zips import open_zip, read_member

_MAX_DIMENSIONS = 32
_MAX_LENGTH = 2**62
_REBUILDERS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")

_DTYPES = {
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "HalfStorage": "float16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
}

ITEM_SIZES = {name: np.dtype(dtype).itemsize for name, dtype in _DTYPES.items()}


@metered
def read_torch(data: bytes, where: str, only: str | None = None) -> tuple[Any, frozenset[Global]]:
    """Read what `torch.save` wrote.

    Args:
        data: The file's bytes.
        where: What to call it in an error message.
        only: The key of a dictionary that was saved under which the tensors are; everything else in it, and
            what is no such dictionary, is given as the pickle's records. None where all of it are tensors.

    Returns:
        Plain containers with read-only numpy arrays for tensors, and every global its pickle names.

    Raises:
        NotPortable: It is not torch's zip format, holds something else than tensors and plain values, or is
            more than what is left of the budget.
    """
    if data.startswith(TORCH_MAGIC):
        pickled, storages = read_legacy(data, where, ITEM_SIZES)
        return _decode(pickled.value, storages, where, only), pickled.imports
    if not data.startswith(b"PK"):
        raise NotPortable(
            f"{where} is not a file that torch saved",
            "it may be truncated, or be a Git LFS pointer or a file of another framework",
        )
    with open_zip(io.BytesIO(data), where) as archive:
        root = _root(archive, where)
        raw = read_member(archive, f"{root}data.pkl", where)
        # It has shapes, and refers to numbers by the names of members, which are read in any case.
        pickled = recalled("torch", raw, lambda: read_pickle(raw, f"{where}: data.pkl"))
        return _decode(pickled.value, _Members(archive, root, where), where, only), pickled.imports


@metered
def list_tensors(data: bytes, where: str, below: str | None = None) -> dict[str, tuple[tuple[int, ...], str]]:
    """List the named tensors of a file of torch's by shape and type; the storages of a zip are not read.

    Args:
        data: The file's bytes.
        where: What to call it in an error message.
        below: The key of the dictionary that has them, None where they are the file.

    Raises:
        NotPortable: It is not a file that torch saved, or is damaged.
    """
    if data.startswith(TORCH_MAGIC):
        value = read_legacy(data, where, ITEM_SIZES)[0].value
    else:
        with open_zip(io.BytesIO(data), where) as archive:
            raw = read_member(archive, f"{_root(archive, where)}data.pkl", where)
        value = read_pickle(raw, f"{where}: data.pkl").value
    if below is not None:
        value = value.get(below) if isinstance(value, dict) else None
    ordered = isinstance(value, Record) and value.calls("collections.OrderedDict")
    pairs = value.pairs if ordered else value.items() if isinstance(value, dict) else ()
    spend(Cost.VALUES, len(pairs), where)
    found = {name: _described(item) for name, item in pairs if isinstance(name, str)}
    return {name: entry for name, entry in found.items() if entry is not None}


def _described(value: Any) -> tuple[tuple[int, ...], str] | None:
    """Give the shape and the type of a tensor, None for what is none."""
    if isinstance(value, Record) and value.calls("torch._utils._rebuild_parameter") and value.args:
        value = value.args[0]
    is_tensor = isinstance(value, Record) and value.calls(*_REBUILDERS) and len(value.args) > 2
    reference, size = (value.args[0], value.args[2]) if is_tensor else (None, None)
    parts = reference.value if isinstance(reference, PersistentId) else None
    kind = parts[1] if isinstance(parts, tuple) and len(parts) > 1 else None
    if not isinstance(kind, Global) or not isinstance(size, tuple) or len(size) > _MAX_DIMENSIONS:
        return None
    shape = tuple(length for length in size if type(length) is int and 0 <= length < _MAX_LENGTH)
    return (shape, _DTYPES.get(kind.name, kind.name[:100])) if len(shape) == len(size) else None


def _decode(value: Any, storages: "Storages", where: str, only: str | None) -> Any:
    try:
        if only is None:
            return _Tensors(storages, where).decode(value)
        if not isinstance(value, dict) or only not in value:
            return value
        return {**value, only: _Tensors(storages, where).decode(value[only])}
    except RecursionError as error:
        raise NotPortable(f"{where} is nested too deeply") from error


def _contiguous(size: tuple[int, ...]) -> tuple[int, ...]:
    """Give the strides of a tensor whose numbers follow one another, as nearly all do."""
    strides, step = [], 1
    for length in reversed(size):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


class Storages(Protocol):
    """Where the raw bytes of storages come from."""

    byteorder: Literal["<", ">"]

    def read(self, key: str) -> bytes:
        """Give the bytes of a storage by its key.

        Raises:
            NotPortable: It is absent or damaged.
        """


class _Members:
    """Storages as the members of a torch archive."""

    def __init__(self, archive: zipfile.ZipFile, root: str, where: str) -> None:
        self.archive, self.root, self.where = archive, root, where
        name = f"{root}byteorder"
        present = name in archive.namelist()
        big = present and read_member(archive, name, where) == b"big"
        self.byteorder: Literal["<", ">"] = ">" if big else "<"

    def read(self, key: str) -> bytes:
        return read_member(self.archive, f"{self.root}data/{key}", self.where)


def _root(archive: zipfile.ZipFile, where: str) -> str:
    roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise NotPortable(f"{where} is not in torch's zip format: it holds {len(roots)} data.pkl")
    return roots[0]


class _Tensors:
    """Turns records of one torch file into arrays."""

    def __init__(self, storages: Storages, where: str) -> None:
        self.storages, self.where = storages, where
        self.cache: dict[str, Array] = {}

    def decode(self, value: Any) -> Any:
        """Replace every tensor record in plain containers by its array.

        Values are counted because a pickle can share and nest them so that walking it never ends.
        """
        spend(Cost.VALUES, 1, self.where)
        if isinstance(value, dict):
            return {key: self.decode(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.decode(item) for item in value)
        if isinstance(value, Record):
            return self._decode_record(value)
        if isinstance(value, str | int | float | None):
            return value
        raise NotPortable(f"{self.where} holds a {type(value).__name__}, where only tensors are expected")

    def _decode_record(self, record: Record) -> Any:
        if record.calls("collections.OrderedDict"):
            return {key: self.decode(item) for key, item in record.pairs}
        if record.calls(*_REBUILDERS):
            return self._tensor(record.args)
        if record.calls("torch._utils._rebuild_parameter") and record.args:
            return self.decode(record.args[0])
        if record.calls(*SCALAR):
            return as_number(record)
        raise NotPortable(f"{self.where} holds a {describe(record)}, where only tensors are expected")

    def _tensor(self, args: tuple[Any, ...]) -> Array:
        """Read the arguments of `_rebuild_tensor_v2`: storage, offset, size, stride and more."""
        storage, offset, size, stride = (*args[:4], *[None] * 4)[:4]
        flat = self._storage(storage)
        self._check_view(flat, offset, size, stride)
        spend(Cost.MEMORY, math.prod(size) * flat.itemsize, self.where)
        try:
            if stride == _contiguous(size):
                return frozen(flat[offset : offset + math.prod(size)].reshape(size))
            steps = [step * flat.itemsize for step in stride]
            return frozen(np.lib.stride_tricks.as_strided(flat[offset:], size, steps))
        except (ValueError, OverflowError) as error:  # too many dimensions, or no elements and a huge shape
            raise NotPortable(f"{self.where} holds a tensor of an impossible shape") from error

    def _check_view(self, flat: Array, offset: Any, size: Any, stride: Any) -> None:
        proper = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
        if not proper or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
            raise NotPortable(f"{self.where} holds a tensor without a proper offset, size and stride")
        if len(size) > _MAX_DIMENSIONS:
            raise NotPortable(f"{self.where} holds a tensor of {len(size)} dimensions")
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if math.prod(size) > flat.size or (math.prod(size) and last >= flat.size):
            raise NotPortable(f"{self.where} holds a tensor that reaches beyond its storage")

    def _storage(self, reference: Any) -> Array:
        """Give the flat array of `("storage", torch.FloatStorage, key, location, number of elements)`."""
        parts = reference.value if isinstance(reference, PersistentId) else None
        if not isinstance(parts, tuple) or len(parts) < 5 or not isinstance(parts[2], str):
            raise NotPortable(f"{self.where} holds a tensor without a storage")
        _, kind, key, _, count = parts[:5]
        if key not in self.cache:
            self.cache[key] = self._read_storage(kind, key, count)
        return self.cache[key]

    def _read_storage(self, kind: Any, key: str, count: Any) -> Array:
        name = kind.name if isinstance(kind, Global) else ""
        if name not in _DTYPES:
            raise NotPortable(f"{self.where} holds tensors of {describe(kind)}, which are not read")
        raw = self.storages.read(key)
        dtype = np.dtype(_DTYPES[name]).newbyteorder(self.storages.byteorder)
        if not isinstance(count, int) or len(raw) != count * dtype.itemsize:
            raise NotPortable(f"{self.where} is damaged: storage {key[:40]} holds {len(raw)} bytes")
        return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=False)
