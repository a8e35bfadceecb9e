"""Places as users write them, on the Hub `org/name`, `org/name@revision`, `hf://org/name@revision/path.zip`."""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from sb3port.errors import UsageError

_SCHEME = "hf://"
# Pull requests have names with slashes; other such revisions are written with %2F, as everywhere on the Hub.
_URI = re.compile(
    r"(?:models/)?(?P<repo_id>\w[\w.-]*/[\w.-]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)
_NAME = re.compile(r"(?P<repo_id>\w[\w.-]*/[\w.-]+)(?:@(?P<revision>.*))?")
_NAMES = "a Hub repository is named like sb3/ppo-Pendulum-v1, a file in it hf://org/name/file.zip"
_MAX_SIBLINGS = 2000


@dataclass(frozen=True)
class HubLocation:
    """A place on the Hub.

    Args:
        repo_id: `owner/name`.
        revision: A branch, tag or commit, None for the default branch.
        path: A file or folder in the repository, None for all of it.
    """

    repo_id: str
    revision: str | None = None
    path: str | None = None


def read_location(label: str) -> HubLocation:
    """Read what a user wrote.

    Raises:
        UsageError: It is no place on the Hub.
    """
    if not label.startswith(_SCHEME):
        match = None if label.endswith(".zip") else _NAME.fullmatch(label)
        if match is None:
            raise UsageError(
                f"{label} is neither a file or folder on this machine nor a Hub repository",
                _NAMES,
            )
        return HubLocation(match["repo_id"], match["revision"] or None)
    match = _URI.fullmatch(label.removeprefix(_SCHEME))
    if match is None or label.startswith((f"{_SCHEME}datasets/", f"{_SCHEME}spaces/")):
        raise UsageError(
            f"{label} is no place in a model repository",
            "write hf://org/name, hf://org/name/file.zip or hf://org/name@revision/file.zip",
        )
    revision = match["revision"]
    return HubLocation(match["repo_id"], unquote(revision) if revision else None, match["path"] or None)


def refuse_absent(label: str) -> None:
    """Refuse what can only be a path, or is meant as one: the Hub is not asked for it.

    A name like one on the Hub is meant as a path if it begins with a folder that is here, and that folder has
    something of a like name in it, or zips.

    Raises:
        UsageError: It is that; what may be meant is in the hint.
    """
    try:
        path = Path(label).expanduser()
        on_hub = _NAME.fullmatch(label) is not None and not label.endswith(".zip")
        if label.startswith(_SCHEME) or (on_hub and not path.parent.is_dir()):
            return
        close = _that_is_like(path)
        if on_hub and not close and not any(path.parent.glob("*.zip")):
            return
    except (RuntimeError, OSError):  # `~nobody`, or longer than any path
        return
    hints = (f"did you mean {close}?" if close else "", f"on the Hub it is hf://{label}" if on_hub else "")
    raise UsageError(
        f"{label} is neither a file or folder on this machine nor a Hub repository",
        "; ".join(filter(None, hints)) or _NAMES,
    )


def meant(path: Path) -> str | None:
    """Give a hint for a path that is absent: what lies there of a name like its own, None if nothing does."""
    try:
        close = _that_is_like(path)
    except OSError:  # a folder that cannot be read, or a path longer than any
        return None
    return f"did you mean {close}?" if close else None


def _that_is_like(path: Path) -> str | None:
    """Find what may be meant by a path: something of a name that is like the first that is absent.

    Or of that very name, one folder deeper, as `best` is in the `checkpoints` of a training.
    """
    for step in reversed([path, *path.parents][:-1]):
        folder, name = step.parent, step.name
        if not step.exists():
            with os.scandir(folder) as entries:
                names = [entry.name for entry in islice(entries, _MAX_SIBLINGS)]
            without = {Path(other).stem: other for other in names if other.endswith(".zip")}
            close = get_close_matches(name, [*names, *without], n=1)
            if not close:
                deeper = (folder / other / path.relative_to(folder) for other in names)
                return next((str(p) for p in deeper if p.exists()), None)
            found = folder / without.get(close[0], close[0])
            whole = found / path.relative_to(step)
            return next((str(p) for p in (whole, Path(f"{whole}.zip")) if p.exists()), str(found))
    return None
