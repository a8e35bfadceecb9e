"""The files of a source, wherever it is: what they are called, what is in a part of one, and how to get them.

A folder of this machine and a repository on the Hub are the same to those who choose among their files.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sb3port.errors import NotPortable, UsageError
from sb3port.files.budget import Cost, spend
from sb3port.files.untrusted import open_untrusted

MAX_DEPTH = 5
"""How many folders deep files are looked for: rl_zoo3 has `logs/ppo/ID_1/ID/vecnormalize.pkl`."""


class Files(Protocol):
    """The files of a folder or repository."""

    @property
    def names(self) -> Sequence[str]:
        """Every file as a POSIX path, sorted."""

    def head(self, name: str, size: int) -> bytes:
        """Give the first bytes of a file."""

    def tail(self, name: str, size: int) -> bytes:
        """Give the last bytes of a file."""

    def fetch(self, names: Collection[str]) -> Path:
        """Bring some files here, and give the folder that holds them under their names."""


@dataclass(frozen=True)
class LocalFiles:
    """The files of a folder on this machine.

    Args:
        root: The folder.
        names: Every file as a POSIX path, sorted.
        links: Links to folders, which are not followed: those within are there by their own names.
    """

    root: Path
    names: Sequence[str]
    links: Sequence[str] = ()

    def head(self, name: str, size: int) -> bytes:
        """Give the first bytes of a file."""
        return self._part(name, size, from_end=False)

    def tail(self, name: str, size: int) -> bytes:
        """Give the last bytes of a file."""
        return self._part(name, size, from_end=True)

    def _part(self, name: str, size: int, from_end: bool) -> bytes:
        try:
            with open_untrusted(self.root / name, name, self.root, size) as file:
                if from_end:
                    file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read(size)
        except (NotPortable, UsageError):  # what cannot be read is nothing that is looked for
            return b""

    def fetch(self, names: Collection[str]) -> Path:  # noqa: ARG002 (nothing is to be done)
        """Give the folder: they are here."""
        return self.root


def list_folder(root: Path, depth: int = MAX_DEPTH) -> LocalFiles:
    """List the files of a folder: hidden folders hold no checkpoints, and a home folder is large.

    Raises:
        NotPortable: There are more than what is left of the budget.
    """
    names: list[str] = []
    links: list[str] = []
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        spend(Cost.FILES, len(files) + len(folders), str(root))
        links.extend((inside / name).as_posix() for name in folders if Path(folder, name).is_symlink())
        deeper = len(inside.parts) < depth - 1
        folders[:] = [name for name in folders if deeper and not name.startswith(".")]
        names.extend((inside / name).as_posix() for name in files if not name.startswith("."))
    return LocalFiles(root, sorted(name for name in names if (root / name).is_file()), sorted(links))
