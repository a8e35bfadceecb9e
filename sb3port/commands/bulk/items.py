"""Which models there are: those in folders, of any nesting, in lists, and of an owner on the Hub."""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sb3port.commands.bulk.job import Item
from sb3port.errors import NotPortable, Sb3portError, UsageError
from sb3port.files.budget import budget
from sb3port.files.untrusted import open_untrusted
from sb3port.readers.formats.archive import ZipKind, zip_kind
from sb3port.readers.formats.zips import open_zip
from sb3port.readers.places.layouts import suffixless, unzipped, zips
from sb3port.readers.places.locations import read_location, refuse_absent
from sb3port.readers.places.source import absolute, local_path
from sb3port.readers.places.source_files import LocalFiles, list_folder

_TAIL = 4096
_MANY_FILES = 1000.0  # times what one command may list
_LONGEST_LIST = 256 * 1024**2
_COMMENT = "#"


@dataclass
class Found:
    """What was found.

    Args:
        items: The models, without a place for their results.
        passed_over: How many zips are plainly something else.
    """

    items: list[Item] = field(default_factory=list)
    passed_over: int = 0


def find_items(
    labels: Sequence[str], author: str | None = None, wanted: str | None = None, leave_out: Path | None = None
) -> Found:
    """Find all models.

    Args:
        labels: Folders, zips, places on the Hub, and files that list such, one in a line.
        author: Whose repositories on the Hub are listed as well.
        wanted: Only models are taken in whose name this is, whatever its case; or, where it has `*`, `?` or
            `[`, whose name it fits.
        leave_out: A folder in which nothing is looked for: that of the results.

    Raises:
        UsageError: A path is absent, or nothing is found.
        SourceUnreachable: The Hub cannot be asked for the list.
    """
    found = Found()
    _Finder(found, leave_out).find(labels)
    if author is not None:
        found.items += _of_author(author, wanted)
    known: dict[str, Item] = {}
    for item in found.items:
        if wanted is None or _fits(item.name, wanted):
            known.setdefault(item.name, item)
    if not known:
        raise UsageError(
            f"there is no model{f' named like {wanted}' if wanted else ''} in what is named",
            f"{found.passed_over} zips that are no SB3 checkpoints were passed over"
            if found.passed_over
            else "name a folder with SB3 zips, a file that lists models, or --author NAME",
        )
    return Found(list(known.values()), found.passed_over)


def _fits(name: str, wanted: str) -> bool:
    lower, pattern = name.lower(), wanted.lower()
    if not any(character in wanted for character in "*?["):
        return pattern in lower
    return any(fnmatch.fnmatchcase(text, pattern) for text in (lower, lower.removesuffix(".zip")))


def _of_author(author: str, wanted: str | None) -> Iterator[Item]:
    from sb3port.readers.places import hub

    plain = wanted if wanted and not any(c in wanted for c in "*?[") else None
    for repo_id in hub.list_models(author, plain):
        yield Item(repo_id, repo_id, on_hub=True)


class _Finder:
    """Looks through what is named."""

    def __init__(self, found: Found, leave_out: Path | None) -> None:
        self.found = found
        self.leave_out = Path(os.path.realpath(leave_out)) if leave_out is not None else None

    def find(self, labels: Sequence[str], lists: bool = True) -> None:
        """Look through several, each below its own name where there are more than one.

        Args:
            labels: What is named.
            lists: Whether lists may be among them; there are none in lists.
        """
        alone = len(labels) == 1
        for label in labels:
            path = local_path(label) if label.strip() else None
            if lists and path is not None and path.is_file() and not _may_be_checkpoint(path):
                self.find(_lines(path), lists=False)
            else:
                self._add(label, path, "" if alone else _below(label))

    def _add(self, label: str, path: Path | None, prefix: str) -> None:
        if path is None:
            self.found.items.append(_hub_item(label))
        elif path.is_dir():
            self._add_folder(path, prefix)
        else:
            self.found.items.append(Item(prefix or path.name, str(absolute(path))))

    def _add_folder(self, folder: Path, prefix: str) -> None:
        root = absolute(folder)  # workers may be elsewhere
        with budget(_MANY_FILES):
            files = list_folder(root)
        inside = self._inside(root)
        names = [name for name in files.names if inside is None or not name.startswith(inside)]
        zipped = self._zips(LocalFiles(root, names))
        places = {PurePosixPath(name).with_suffix("") for name in zipped}
        for name in zipped:
            self.found.items.append(Item(_joined(prefix, name), str(root / name)))
        for candidate in unzipped(names):
            if candidate.place not in places:
                data = root / candidate.name
                shown = _joined(prefix, candidate.shown if candidate.shown != "." else "")
                self.found.items.append(Item(shown or root.name, str(data.parent), filename=data.name))

    def _inside(self, root: Path) -> str | None:
        """Say how the names begin of what lies in the folder that is left out."""
        if self.leave_out is None:
            return None
        relative = os.path.relpath(self.leave_out, os.path.realpath(root))
        return None if relative.startswith("..") else f"{Path(relative).as_posix()}/"

    def _zips(self, files: LocalFiles) -> list[str]:
        """List the zips that are checkpoints, or are broken, so that it cannot be told."""
        named = {candidate.name for candidate in zips(files.names)}
        maybe = {candidate.name for candidate in suffixless(files.names)}
        found = []
        for name in sorted(named | maybe):
            kind = zip_kind(files.tail(name, _TAIL))
            if kind is not ZipKind.OTHER or (name in named and _is_broken(files.root / name, files.root)):
                found.append(name)
            elif name in named:
                self.found.passed_over += 1
        return found


def _may_be_checkpoint(path: Path) -> bool:
    if path.name.endswith(".zip"):
        return True
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _is_broken(path: Path, root: Path) -> bool:
    """Whether a zip cannot be opened: who does shall say why."""
    try:
        with budget(1.0), open_untrusted(path, path.name, root) as file, open_zip(file, path.name):
            return False
    except (Sb3portError, OSError):
        return True


def _lines(path: Path) -> list[str]:
    if path.stat().st_size > _LONGEST_LIST:
        raise NotPortable(f"{path} is no list: it is longer than any", "name a folder, or a text file")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no list: it is not text", "write one model in a line") from None
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and not line.startswith(_COMMENT)]


def _hub_item(label: str) -> Item:
    refuse_absent(label)
    place = read_location(label)
    name = f"{place.repo_id}/{place.path}" if place.path else place.repo_id
    shown = f"{name}@{place.revision}" if place.revision else name
    return Item(shown, place.repo_id, on_hub=True, filename=place.path, revision=place.revision)


def _below(label: str) -> str:
    """Give a path without what leads out of the folder that it is put in."""
    path = Path(label)
    return "/".join(part for part in path.parts if part not in (path.anchor, "..", "~"))


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix and name else prefix or name
