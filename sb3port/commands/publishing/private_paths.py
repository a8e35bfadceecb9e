"""Paths of this machine, which nobody else shall read."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import Provenance


class PrivatePaths:
    """Paths that are to be replaced by their last names wherever they are mentioned.

    Args:
        paths: Absolute paths; the home folder is always among them.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        home = str(Path.home())
        names = {path: Path(path).name for path in paths if len(Path(path).parts) > 1}
        names |= {home: "~"} if len(Path(home).parts) > 1 else {}
        # The longest first: what lies in a folder begins with its path.
        ordered = sorted(names, key=len, reverse=True)
        self._names = {
            re.compile(rf"(?<![\w./-]){re.escape(path)}(?![\w-])"): names[path] for path in ordered
        }

    @classmethod
    def of_port(cls, folder: Path, provenance: Provenance) -> "PrivatePaths":
        """Give those that the files of a port may mention: where it is, and where it comes from."""
        mentioned = [provenance.location, *(file.name for file in provenance.files.values())]
        found = [Path(name) for name in mentioned if Path(name).is_absolute()]
        return cls(str(path) for one in (folder.absolute(), *found) for path in (one, one.parent))

    def hide(self, value: Any) -> Any:
        """Replace them in a text, or in all texts of a JSON value."""
        if isinstance(value, Mapping):
            return {key: self.hide(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        if not isinstance(value, str):
            return value
        for path, name in self._names.items():
            value = path.sub(name.replace("\\", r"\\"), value)
        return value
