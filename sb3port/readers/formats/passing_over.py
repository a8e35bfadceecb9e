"""Files of any size whose long pieces are passed over, and looked at only where that is asked for.

A replay buffer is a pickle of gigabytes with a few hundred opcodes in it; no name in it is long.
"""

import io
from typing import Any, BinaryIO, cast

_SHORT = 256 * 1024


class Part(io.RawIOBase):
    """A part of a file, as a file.

    Args:
        file: The whole, which is sought in at every read.
        begin: Where the part begins.
        length: How many bytes it has.
    """

    def __init__(self, file: BinaryIO, begin: int, length: int) -> None:
        self._file, self._begin, self._length, self._place = file, begin, length, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for."""
        wanted = min(len(buffer), max(0, self._length - self._place))
        self._file.seek(self._begin + self._place)
        read = self._file.read(wanted)
        buffer[: len(read)] = read
        self._place += len(read)
        return len(read)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the part."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise ValueError("a place before the beginning")
        self._place = start + offset
        return self._place


class PassedOver(bytes):
    """Bytes of a file that were not read: they have a length, and no content."""

    part: Part
    length: int

    def __len__(self) -> int:
        return self.length


class _PassingOver:
    """A file of which long pieces are passed over, as `pickletools` asks for them.

    Args:
        file: A file that can be sought in; it is read from its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Give so many bytes; of more than some, a `PassedOver`."""
        if 0 <= size <= _SHORT:
            return self._file.read(size)
        place = self._file.tell()
        found = PassedOver()
        found.length = min(size, self._end - place) if size >= 0 else self._end - place
        found.part = Part(self._file, place, found.length)
        self._file.seek(place + found.length)
        return found

    def readline(self, size: int | None = -1) -> bytes:
        """Give a line, or the beginning of one that is longer than any name."""
        return self._file.readline(_SHORT if size is None or size < 0 else size)

    def tell(self) -> int:
        """Say where it is."""
        return self._file.tell()


def passing_over(file: BinaryIO) -> BinaryIO:
    """Give a file of which only short pieces are read."""
    return cast(BinaryIO, _PassingOver(file))


def as_file(raw: bytes) -> BinaryIO:
    """Give bytes as a file, those that were passed over, too."""
    return io.BufferedReader(raw.part) if isinstance(raw, PassedOver) else io.BytesIO(raw)
