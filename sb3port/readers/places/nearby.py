"""Which pickles lie so near a checkpoint that they may be its statistics, and what their names say of it.

Pure functions on POSIX paths, in which `..` leads out of the source. What is near depends on where the
checkpoint lies, and not on how the user named it: its folder and what is in it; the folders above, a few
of them; and in these the folders that are named like parts of a training, such as `stats`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from sb3port.readers.places.layouts import Candidate, pickles, unzipped, zips
from sb3port.readers.places.words import Relation, Words, relate, tells_no_model, unknown, words_of

UP = 5
"""How many folders above a checkpoint's its statistics are looked for."""
DOWN = 2
"""How many folders deep they are looked for beside it, and in folders like `stats`."""
_AROUND = 3  # that many folder names tell what a run is
_NUMBERS = ("", "one folder", "two folders", "three folders", "four folders", "five folders")


@dataclass(frozen=True)
class Near:
    """A pickle near a checkpoint, by its name.

    Args:
        name: Its name within the source; an absolute path for one that the user named.
        relation: What its name says.
        up: How many folders above the checkpoint's that is whose folders lead to it.
        down: These folders.
        own: Whether it lies in the folder of the checkpoint's own name.
        which: What its name tells of the model.
        apart: How many steps its name is from the checkpoint's; if that tells no step, the last comes first.
    """

    name: str
    relation: Relation = Relation.NAMED
    up: int = 0
    down: tuple[str, ...] = ()
    own: bool = False
    which: frozenset[tuple[str, str]] = frozenset()
    apart: int = 0

    @property
    def distance(self) -> int:
        """How far it is: up counts twice."""
        return 0 if self.own else 2 * self.up + len(self.down)

    @property
    def place(self) -> str:
        """Say where it lies, as seen from the checkpoint."""
        above = f"{_NUMBERS[self.up]} above" if self.up else ""
        inside = f"in {'/'.join(self.down)}/" if self.down else ""
        return " ".join(filter(None, (inside, above))) or "beside it"


@lru_cache(maxsize=2**14)  # the same thousands of folders may lie around each of thousands of checkpoints
def is_part_of_training(folder: str) -> bool:
    """Whether a folder's name tells no model: `stats`, `checkpoints`, `best_model`."""
    return tells_no_model(folder)


def nearby(names: Collection[str], checkpoint: Candidate, origin: Sequence[str]) -> list[Near]:
    """List the pickles near a checkpoint, those first whose names speak for them.

    Args:
        names: Every file of the source, and of the folders around it.
        checkpoint: The checkpoint.
        origin: The names of the folders that lead to the source, its own the last.
    """
    map_ = _Map(names, checkpoint, tuple(origin))
    found = [near for name in pickles(names) if (near := map_.near(name)) is not None]
    return sorted(found, key=lambda near: (near.relation, near.distance, near.apart, near.name))


class _Map:
    """Where things lie around a checkpoint."""

    def __init__(self, names: Collection[str], checkpoint: Candidate, origin: tuple[str, ...]) -> None:
        self.names, self.origin = names, origin
        self.place = self.parts(str(checkpoint.place))
        self.folder = self.place[:-1]

    def parts(self, name: str) -> tuple[str, ...]:
        """Give the folders and the name of a path, from where `origin` begins."""
        found = list(self.origin)
        for part in PurePosixPath(name).parts:
            if part == "..":
                found = found[:-1]
            else:
                found.append(part)
        return tuple(found)

    def near(self, name: str) -> Near | None:
        """Tell what a pickle is to the checkpoint, None where it lies too far away."""
        path = self.parts(name)
        folder, common = path[:-1], _common(path[:-1], self.folder)
        up, down = len(self.folder) - common, folder[common:]
        if not _is_in_reach(up, down):
            return None
        own = folder == self.place
        if own:
            return Near(name, Relation.NAMED, up, down, own)
        other = words_of(*down, PurePosixPath(path[-1]).stem)
        mine, around = words_of(*self.place[common:]), words_of(*self.folder[:common][-_AROUND:])
        relation = self._claimed(relate(mine, other, around), unknown(other, mine, around), mine, folder)
        return Near(name, relation, up, down, own, other.which, _apart(mine, other))

    def _claimed(
        self,
        relation: Relation,
        strange: frozenset[tuple[str, str]],
        mine: Words,
        folder: tuple[str, ...],
    ) -> Relation:
        """Let other checkpoints have what is named for them, or lies with them and not above this one."""
        if relation is Relation.STRANGE and self._explains(strange):
            return Relation.FOREIGN
        is_above = self.folder[: len(folder)] == folder
        if relation in (Relation.NAMED, Relation.FOREIGN) or is_above or not self._holds(folder):
            return relation
        same_training = mine.is_snapshot or is_part_of_training(folder[-1])
        return max(relation, Relation.SIBLING) if same_training else Relation.FOREIGN

    def _holds(self, folder: tuple[str, ...]) -> bool:
        """Whether a folder has another checkpoint in it, or is the own folder of one."""
        return folder in self._folders

    def _explains(self, strange: frozenset[tuple[str, str]]) -> bool:
        """Whether the name of another checkpoint has words that this one's has not."""
        holders = [self._holders.get(word, set()) for word in strange]
        return bool(holders) and bool(set.intersection(*holders))

    @cached_property
    def _others(self) -> list[tuple[str, ...]]:
        candidates = zips(sorted(self.names)) or unzipped(self.names)
        places = [self.parts(str(candidate.place)) for candidate in candidates]
        return [place for place in places if place != self.place and self._is_near(place[:-1])]

    def _is_near(self, folder: tuple[str, ...]) -> bool:
        common = _common(folder, self.folder)
        return _is_in_reach(len(self.folder) - common, folder[common:])

    @cached_property
    def _folders(self) -> set[tuple[str, ...]]:
        return {folder for place in self._others for folder in (place, place[:-1])}

    @cached_property
    def _holders(self) -> dict[tuple[str, str], set[int]]:
        """Which of the others have a word in their names."""
        found: dict[tuple[str, str], set[int]] = {}
        for number, place in enumerate(self._others):
            for word in words_of(*_below(place, self.folder)).which:
                found.setdefault(word, set()).add(number)
        return found


def _apart(own: Words, other: Words) -> int:
    mine, theirs = ([int(text) for text in words.when if text.isdecimal()] for words in (own, other))
    if not theirs:
        return 0
    return abs(max(mine) - max(theirs)) if mine else -max(theirs)


def _below(place: tuple[str, ...], folder: tuple[str, ...]) -> Iterable[str]:
    return place[min(_common(place[:-1], folder), len(place) - 1) :]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the folders that two paths begin with."""
    pairs: Iterator[tuple[str, str]] = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _is_in_reach(up: int, down: Sequence[str]) -> bool:
    if up > UP or len(down) > DOWN:
        return False
    return up == 0 or not down or is_part_of_training(down[0])
