"""What a training asks of the processes that do it together, and the one process that does it alone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sb3port.checkpoint.checkpoint import Array

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T", bound=Sequence[Any] | Array)


class Ranks(ABC):
    """The processes of a training. What one of them calls, all have to call, in the same order.

    Attributes:
        rank: Which one this is, from 0.
        size: How many there are.
    """

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes, prints and evaluates."""
        return self.rank == 0

    @abstractmethod
    def mean(self, flat: "Tensor | Array", *beside: float) -> tuple[float, ...]:
        """Replace numbers by their means over all processes, in one message.

        Args:
            flat: The numbers, `(n,)`, which are changed in place.
            beside: Others that go with them, in the precision of `flat`.

        Returns:
            The means of `beside`.

        Raises:
            RankLost: A process has ended, or cannot be reached.
        """

    @abstractmethod
    def rows(self, rows: Array) -> Array:
        """Put the rows of all processes, `(n, ...)` of each, one after the other: `(size * n, ...)`.

        Raises:
            RankLost: A process has ended, or cannot be reached.
        """

    @abstractmethod
    def gather(self, content: bytes) -> list[bytes]:
        """Give what every process gives, in their order.

        Raises:
            RankLost: A process has ended, or cannot be reached.
        """

    def all_rows(self, parts: Sequence[Array]) -> list[Array]:
        """Do as `rows` for several arrays, whose numbers of rows are the same, in one message."""
        wide = [np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8) for part in parts]
        columns = np.cumsum([array.shape[1] for array in wide])[:-1]
        found = np.split(self.rows(np.concatenate(wide, axis=1)), columns, axis=1)
        return [
            np.ascontiguousarray(array).view(part.dtype).reshape(-1, *part.shape[1:])
            for array, part in zip(found, parts, strict=True)
        ]

    def of_first(self, text: str) -> str:
        """Give what the first process gives."""
        return self.gather(text.encode())[0].decode()

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Tell of each flag whether it is so in one of the processes, when all have come here."""
        found = self.rows(np.array([flags], np.bool_))
        return tuple(bool(column.any()) for column in found.T)

    def part(self, whole: T) -> T:
        """Give this process's share of what all environments have, in their order."""
        count = len(whole) // self.size
        part: T = whole[self.rank * count : (self.rank + 1) * count]  # type: ignore[assignment]
        return part


class Alone(Ranks):
    """One process, which does all of it."""

    rank, size = 0, 1

    def mean(self, flat: "Tensor | Array", *beside: float) -> tuple[float, ...]:  # noqa: ARG002
        """Leave everything as it is."""
        return beside

    def rows(self, rows: Array) -> Array:
        """Give its own rows."""
        return rows

    def gather(self, content: bytes) -> list[bytes]:
        """Give its own content."""
        return [content]


ALONE = Alone()
