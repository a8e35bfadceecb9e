"""Places on the Hub, as users write them: `org/name`, `org/name@revision`, `hf://org/name@revision/path.zip`."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sb3port.errors import UsageError

_SCHEME = "hf://"
# Pull requests have names with slashes; other such revisions are written with %2F, as everywhere on the Hub.
_URI = re.compile(
    r"(?:models/)?(?P<repo_id>\w[\w.-]*/[\w.-]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)
_NAME = re.compile(r"(?P<repo_id>\w[\w.-]*/[\w.-]+)(?:@(?P<revision>.*))?")


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
                "a Hub repository is named like sb3/ppo-Pendulum-v1, a file in it hf://org/name/file.zip",
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
