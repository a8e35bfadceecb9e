"""Whether a port is still what the conversion wrote: by the hashes in its `sb3port.json`.

That tells of accidents and of edits, not of enemies: whoever changes a file can change what is recorded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sb3port.files.port_files import CONFIG_FILE, PORT_FILE, PREPROCESSOR_FILE
from sb3port.files.untrusted import read_json
from sb3port.ports.manifest import hash_files, read_port_file, recorded_files

_MOST = 5
_OF_THE_NORMALIZER = ("clip_obs", "epsilon")


def changed_files(folder: Path) -> list[str]:
    """Name the files that are not as the conversion wrote them."""
    recorded = recorded_files(folder)
    found = hash_files(folder, recorded)
    return [name for name, digest in recorded.items() if name in found and found[name] != digest]


def missing_files(folder: Path) -> list[str]:
    """Name the files that the conversion wrote and that are gone."""
    recorded = recorded_files(folder)
    return [name for name in recorded if not (folder / name).is_file()]


def with_settings(name: str, folder: Path) -> str:
    """Name a changed file, with those settings in it that have changed, if they are known."""
    try:
        settings = _changed_settings(name, folder)
    except (LookupError, TypeError, ValueError, AttributeError):  # it may hold anything
        settings = []
    more = f", and {len(settings) - _MOST} more" if len(settings) > _MOST else ""
    return f"{name} ({', '.join(settings[:_MOST])}{more})" if settings else name


def change_warnings(folder: Path) -> list[str]:
    """Say in sentences what the conversion wrote otherwise; policies of LeRobot's own record nothing.

    Raises:
        NotPortable: The port is broken.
    """
    if not (folder / PORT_FILE).is_file():
        return []
    changed = [with_settings(name, folder) for name in changed_files(folder)]
    gone = missing_files(folder)
    rows = [(changed, "changed since"), (gone, "gone since")]
    return [f"of {folder.name}, {', '.join(names)} {how} the conversion" for names, how in rows if names]


def _changed_settings(name: str, folder: Path) -> list[str]:
    noted = read_port_file(folder)
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
