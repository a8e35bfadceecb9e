"""Whether a port is still what the conversion wrote: by the hashes in its `sb3port.json`.

That tells of accidents and of edits, not of enemies: whoever changes a file can change what is recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sb3port.files.port_files import CONFIG_FILE, PORT_FILE, PREPROCESSOR_FILE
from sb3port.files.untrusted import read_json
from sb3port.ports.manifest import hash_files, read_port_file

_MOST = 5  # that are named one by one
_OF_THE_NORMALIZER = ("clip_obs", "epsilon")


@dataclass(frozen=True)
class Changes:
    """What of a port is not as the conversion wrote it.

    Args:
        recorded: How many files the conversion recorded; none, where a port is older than that.
        changed: The files that differ, each with those settings in it that have changed, if they are known.
        gone: The files that are missing.
        found: The SHA-256 of those that are there, by name.
    """

    recorded: int
    changed: Mapping[str, Sequence[str]]
    gone: Sequence[str]
    found: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)

    @property
    def changed_text(self) -> str:
        """Name the files that differ, and those settings; empty for none."""
        told = [f"{name} ({some(settings)})" if settings else name for name, settings in self.changed.items()]
        return some(told)

    @property
    def gone_text(self) -> str:
        """Name the files that are missing; empty for none."""
        return some(self.gone)


def changes(folder: Path) -> Changes:
    """Hold the files of a port against what the conversion recorded.

    Raises:
        UsageError, NotPortable: As `read_port_file`.
    """
    noted = read_port_file(folder)
    recorded: dict[str, str] = noted.get("files", {})
    found = hash_files(folder, recorded)
    changed = [name for name, digest in recorded.items() if found.get(name, digest) != digest]
    gone = [name for name in recorded if name not in found]
    told = {name: _settings_of(name, noted, folder) for name in changed}
    return Changes(len(recorded), told, gone, found)


def change_warnings(folder: Path) -> list[str]:
    """Say in sentences what the conversion wrote otherwise; policies of LeRobot's own record nothing.

    Raises:
        NotPortable: The port is broken.
    """
    if not (folder / PORT_FILE).is_file():
        return []
    found = changes(folder)
    rows = [(found.changed_text, "changed since"), (found.gone_text, "gone since")]
    return [f"of {folder.name}, {names} {how} the conversion" for names, how in rows if names]


def some(names: Sequence[str]) -> str:
    """Name the first few, and say how many more there are."""
    more = f", and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])}{more}"


def _settings_of(name: str, noted: Mapping[str, Any], folder: Path) -> list[str]:
    try:
        return _changed_settings(name, noted, folder)
    except (LookupError, TypeError, ValueError, AttributeError):  # it may hold anything
        return []


def _changed_settings(name: str, noted: Mapping[str, Any], folder: Path) -> list[str]:
    if name == CONFIG_FILE:
        return _differences(noted["spec"], read_json(folder / name, within=folder))
    if name == PREPROCESSOR_FILE and noted["normalizer"]:
        steps = read_json(folder / name, within=folder)["steps"]
        config = next(step["config"] for step in steps if "clip_obs" in step["config"])
        return _differences({key: noted["normalizer"][key] for key in _OF_THE_NORMALIZER}, config)
    return []


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} is {found[key]!r:.100} instead of {value!r:.100}"
        for key, value in expected.items()
        if key in found and found[key] != value
    ]
