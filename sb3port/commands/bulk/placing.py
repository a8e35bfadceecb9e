"""Where results go: a folder for each model, none of which is the same as another, or within one."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count
from pathlib import PurePosixPath

from sb3port.commands.bulk.job import Item
from sb3port.files.texts.names import file_name

LEDGER = "ledger.jsonl"
INDEX, TABLE, JUNIT = "index.html", "index.csv", "junit.xml"
OURS = (LEDGER, INDEX, TABLE, JUNIT)
_MOST_BYTES = 200  # of one name, for the folders that grow beside it have longer ones


class Places:
    """Gives each model a place, as its path has it, without `.zip`; `name/name.zip` goes to `name`.

    Where another lies within that place, or has it, whatever the case of its letters, the model keeps its
    whole name, `.zip` and all; where that is taken, too, it gets a number, or the folder does that
    is another's place.

    Args:
        names: The models' names, all that are known.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._taken = {name.casefold() for name in OURS}
        self._holding: set[str] = set()
        self._numbers: dict[str, int] = {}
        for name in names:
            self._hold(_short(name))

    def placed(self, item: Item) -> Item:
        """Give the model with its place."""
        plain = _plain(item.name)
        whole = str(PurePosixPath(*map(_part, PurePosixPath(item.name).parts)))
        known = (_short(item.name), plain, whole)
        dest = next(place for place in chain(known, self._numbered(whole)) if self.is_free(place))
        self._taken.add(dest.casefold())
        self._hold(dest)
        return replace(item, dest=dest)

    def _numbered(self, place: str) -> Iterator[str]:
        """Number a place; where it is within one that is taken, that which it is within."""
        taken = next((one for one in _above(place.casefold()) if one in self._taken), place)
        parts, depth = place.split("/"), taken.count("/") + 1
        first, rest = "/".join(parts[:depth]), parts[depth:]
        for number in count(self._numbers.get(first.casefold(), 2)):
            self._numbers[first.casefold()] = number + 1  # those before are taken
            yield "/".join((f"{first}-{number}", *rest))

    def release(self, item: Item) -> None:
        """Let a place be free again, in which nothing will be."""
        self._taken.discard(item.dest.casefold())

    def is_free(self, place: str) -> bool:
        """Whether nothing is there, nothing within, and it is within nothing that is there."""
        folded = place.casefold()
        return folded not in self._holding and self._taken.isdisjoint((folded, *_above(folded)))

    def _hold(self, place: str) -> None:
        for parent in _above(place.casefold()):
            if parent in self._holding:  # and what that is within
                break
            self._holding.add(parent)


def _above(place: str) -> Iterator[str]:
    """Give what a path is within, the innermost first; paths may have thousands of parts."""
    while "/" in place:
        place = place.rpartition("/")[0]
        yield place


def _short(name: str) -> str:
    """Give the folder of a zip that is called like it, else the path without `.zip`."""
    plain = PurePosixPath(_plain(name))
    return str(plain.parent if name.endswith(".zip") and plain.name == plain.parent.name else plain)


def _plain(name: str) -> str:
    """Give the path that a model's name is, without `.zip`."""
    parts = PurePosixPath(name).parts
    last = parts[-1].removesuffix(".zip") if parts[-1].strip(".") else parts[-1]
    return str(PurePosixPath(*map(_part, (*parts[:-1], last or parts[-1]))))


def _part(name: str) -> str:
    """Give a name that a folder can have: most stay what they are."""
    if (
        name.strip(". ")
        and not name.startswith(".")
        and "\0" not in name
        and len(name.encode(errors="replace")) <= _MOST_BYTES
    ):
        return name
    return file_name(name, "model").text
