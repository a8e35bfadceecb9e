"""Reading arrays of an `.npz` block of rows by block of rows: NumPy would read each of them whole."""

import math
import zipfile
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.lib import format as npy
from typing_extensions import Self

from sb3port.checkpoint.checkpoint import Array
from sb3port.files.budget import Cost, spend
from sb3port.files.untrusted import open_untrusted
from sb3port.readers.formats.zips import open_zip

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class NpzFile:
    """An `.npz` whose arrays of numbers are read from their first row on.

    Raises:
        NotPortable: The file is no zip, or it would take more than what is left of the budget.
        OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error: It is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._where = path.name
        self._file = open_untrusted(path)
        try:
            self._archive = open_zip(self._file, path.name)
        except BaseException:
            self._file.close()
            raise
        self.names = [name.removesuffix(".npy") for name in self._archive.namelist()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
        self._file.close()

    def rows(self, name: str) -> "Rows":
        """Give the rows of an array."""
        member = self._archive.getinfo(f"{name}.npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is packed in a way that NumPy does not write")
        return Rows(self._archive.open(member), member.file_size, self._where)

    def array(self, name: str) -> Array:
        """Give an array as a whole."""
        rows = self.rows(name)
        spend(Cost.MEMORY, 2 * rows.size, self._where)
        array = rows.read(rows.shape[0]) if rows.shape else rows.read(1).reshape(())
        rows.finish()
        return array


class Rows:
    """Rows of one array, read in order.

    Attributes:
        shape: Of the whole array.
        dtype: Of its numbers.
        size: Bytes of all of them.

    Raises:
        ValueError: It is no array of numbers, or says that it has more than its member holds.
        NotPortable: It would take more than what is left of the budget.
    """

    def __init__(self, stream: IO[bytes], available: int, where: str) -> None:
        self._stream = stream
        version = npy.read_magic(stream)  # type: ignore[no-untyped-call]  # NumPy's
        if version not in _READERS:
            raise ValueError("an array that holds no numbers")
        self.shape, columns_first, self.dtype = _READERS[version](stream)  # type: ignore[no-untyped-call]
        if self.dtype.kind not in "biuf":
            raise ValueError("an array that holds no numbers")
        self.size = math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or self.size > available:
            raise ValueError("an array of another size than its shape says")
        if columns_first and len(self.shape) > 1:
            spend(Cost.MEMORY, 2 * self.size, where)
        # Nobody writes those for rows that are many, so they are read whole.
        self._whole = self._read_columns() if columns_first and len(self.shape) > 1 else None

    def read(self, count: int) -> Array:
        """Give the next rows."""
        if self._whole is not None:
            rows, self._whole = self._whole[:count], self._whole[count:]
            return rows
        return self._numbers((count, *self.shape[1:]))

    def finish(self) -> None:
        """Check that the last row was the last, and with it the checksum of the archive."""
        if self._stream.read(1):
            raise ValueError("an array goes on after its last row")

    def _read_columns(self) -> Array:
        return np.ascontiguousarray(self._numbers(self.shape[::-1]).T)

    def _numbers(self, shape: tuple[int, ...]) -> Array:
        size = math.prod(shape) * self.dtype.itemsize
        content = self._stream.read(size)
        if len(content) != size:
            raise EOFError("an array ends before its last row")
        return np.frombuffer(bytearray(content), self.dtype).reshape(shape)
