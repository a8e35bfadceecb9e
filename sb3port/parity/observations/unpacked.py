"""How much a recording may hold once it is unpacked: in proportion to its files, however they are packed.

Stacked frames of Pong, of which most is the same in all of them, take 250 times as much in memory as in a
file. Zeros that are packed to fill a memory take a thousand times as much, and a column of a table that says
once what is in a billion rows, any number of times.
"""

from pathlib import Path

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.files.budget import factor

_AT_LEAST, _PER_BYTE = 256 * 1024**2, 400


class Unpacked:
    """What of a recording is in memory.

    Args:
        path: The recording, for a sentence.
        size: Bytes of its files.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._factor = factor()
        self._most = int(self._factor * (_AT_LEAST + _PER_BYTE * size))
        self._left = self._most

    def take(self, size: int) -> None:
        """Take note of more bytes, at the latest when they are there.

        Raises:
            NotPortable: That is more than an honest recording has.
        """
        self._left -= size
        if self._left < 0:
            raise NotPortable(
                f"{self._path} holds more than {self._most / 1024**2:,.0f} MiB once it is unpacked, which no "
                "honest recording of its size does",
                f"if you trust it, allow more of everything with --limits {4 * self._factor:g}",
            )

    def expect(self, size: int) -> None:
        """Refuse what is to come, where a file says how much that is; errors are those of `take`."""
        if size > self._left:
            self.take(size)

    def taken(self, array: Array) -> Array:
        """Take note of an array, and give it; errors are those of `take`."""
        self.take(array.nbytes)
        return array
