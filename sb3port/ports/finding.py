"""Where a port is: a folder on this machine, or a repository on the Hub that `sb3port push` filled."""

import re
from pathlib import Path

from sb3port.errors import NotPortable, UsageError
from sb3port.files.port_files import CARD, PORT_FILE, REPORTS, port_files
from sb3port.readers.places.hub import RepoFiles, list_repo
from sb3port.readers.places.locations import HubLocation, read_location

_HUB_NAME = re.compile(r"hf:/.+|\w[\w.-]*/[\w.-]+(?:@.*)?")


def find_port(place: str | Path) -> Path:
    """Give the folder of a port, which is fetched where it is on the Hub.

    Args:
        place: A folder, `org/name`, `org/name@revision` or `hf://org/name`. What exists on this machine, or
            could be in a folder that does, is a path.

    Returns:
        The folder; one in the Hub's cache is not ours to write to. A path is given back as it is.

    Raises:
        UsageError: The name cannot be one on the Hub.
        SourceUnreachable: The Hub does not have it, or cannot be reached.
        NotPortable: The repository is not a port.
    """
    label = str(place)
    if not _is_on_hub(label):
        return Path(place)
    # A `Path` has one slash where the user wrote two.
    location = read_location(re.sub(r"^hf:/+", "hf://", label))
    repo = list_repo(location.repo_id, location.revision)
    _check(repo, location)
    return fetch_port(repo)


def fetch_port(repo: RepoFiles) -> Path:
    """Bring a port into the cache without card and reports; give its folder, or raise as `download` does."""
    return repo.fetch([name for name in port_files(repo.names) if name not in (CARD, *REPORTS)])


def _is_on_hub(label: str) -> bool:
    if not _HUB_NAME.fullmatch(label):
        return False
    path = Path(label)
    return label.startswith("hf:/") or not (path.exists() or path.is_symlink() or path.parent.is_dir())


def _check(repo: RepoFiles, location: HubLocation) -> None:
    if location.path is not None:
        raise UsageError(f"{location.path} is in a repository, and a port is a whole one", "leave it out")
    if PORT_FILE not in repo.names:
        hint = f"if it holds an SB3 checkpoint, port it with: sb3port convert {repo.repo_id}"
        raise NotPortable(f"{repo.repo_id} is not a port: it has no {PORT_FILE}", hint)
