"""The files of a source, wherever it is: what they are called, what is in a part of one, and how to get them.

A folder of this machine and a repository on the Hub are the same to those who choose among their files.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
    """The files of a folder on this machine."""

    root: Path
    names: Sequence[str]

    def head(self, name: str, size: int) -> bytes:
        """Give the first bytes of a file."""
        with (self.root / name).open("rb") as file:
            return file.read(size)

    def tail(self, name: str, size: int) -> bytes:
        """Give the last bytes of a file."""
        with (self.root / name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return file.read(size)

    def fetch(self, names: Collection[str]) -> Path:  # noqa: ARG002 (nothing is to be done)
        """Give the folder: they are here."""
        return self.root


def list_folder(root: Path, depth: int = MAX_DEPTH) -> LocalFiles:
    """List the files of a folder: hidden folders hold no checkpoints, and a home folder is large."""
    names: list[str] = []
    for folder, folders, files in os.walk(root, followlinks=True):
        inside = Path(folder).relative_to(root)
        deeper = len(inside.parts) < depth - 1
        folders[:] = [name for name in folders if deeper and not name.startswith(".")]
        names.extend((inside / name).as_posix() for name in files if not name.startswith("."))
    return LocalFiles(root, sorted(name for name in names if (root / name).is_file()))
