"""What a loopback Hub knows, and its temper; tests change it while it serves."""

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from .repositories import Repo

# Recorded outputs lie beside the models in a zoo folder without being part of the repositories.
NOT_IN_REPOS = frozenset({"reference.npz", "reference.json"})


@dataclass(frozen=True)
class Request:
    """One request that the hub got: `path` is unquoted and without query, the others are headers' values."""

    method: str
    path: str
    range: str | None
    authorization: str | None = None


@dataclass
class LoopbackHub:
    """The repositories and the temper of a loopback Hub.

    Args:
        root: The folder tree, `root/<owner>/<name>/…`.
        endpoint: The address, for `HF_ENDPOINT`.
        exclude: File names that are not part of the repositories.
        token: The token that opens everything; `hf_…` is that of a stranger, and anything else is no token.
        user: Whose token that is.
        private: Repositories that exist for holders of the token only.
        gated: Repositories that everyone can list but whose files only holders of the token can read.
        failing: A status that answers every request, or None.
        page: How many models a list has on a page.
        redirects: Whether large files are served from another host, as the real Hub does.
        ranges: Whether a part of a file can be asked for.
        card_errors: What is wrong with the metadata of every model card.
        retry_after: What the Retry-After header of answers of 429 says, if anything.
        requests: Every request so far.
        objects: Large files that were uploaded, by SHA-256, whether a commit names them or not.
    """

    root: Path
    endpoint: str = ""
    exclude: Set[str] = NOT_IN_REPOS
    token: str = "hf_loopback"
    user: str = "loopback"
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    failing: int | None = None
    redirects: bool = False
    page: int = 1000
    ranges: bool = True
    card_errors: list[str] = field(default_factory=list)
    retry_after: str | None = None
    requests: list[Request] = field(default_factory=list)
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    _cuts: list[int] = field(default_factory=list)
    _failures: list[int] = field(default_factory=list)

    def commit(self, repo_id: str, branch: str = "main") -> str:
        """Snapshot the repository's folder and move `branch` there; same contents, same commit."""
        folder = self.root / repo_id
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in self.exclude)
        tree = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        return self.repos.setdefault(repo_id, Repo()).commit(tree, branch)

    def tag(self, repo_id: str, name: str) -> None:
        """Let the tag `name` point to what `main` is now."""
        repo = self.repos[repo_id]
        repo.refs[name] = repo.refs["main"]
        repo.tags.add(name)

    def cut_downloads(self, *after: int) -> None:
        """Cut the next downloads short, one for each number, after that many bytes of the body."""
        self._cuts = list(after)

    def next_cut(self) -> int | None:
        """Give the number of bytes after which the download that begins now is cut, or None."""
        return self._cuts.pop(0) if self._cuts else None

    def fail_next(self, *statuses: int) -> None:
        """Answer the next requests with these statuses, 0 and those after them as they should be."""
        self._failures = list(statuses)

    def next_failure(self) -> int | None:
        """Give the status of the failure that the request that begins now shall meet, or None."""
        return (self._failures.pop(0) or None) if self._failures else self.failing

    @property
    def downloaded(self) -> list[str]:
        """The files whose contents were asked for, as `owner/name/resolve/commit/path`, in order."""
        paths = [request.path[1:] for request in self.requests if request.method == "GET"]
        return [path for path in paths if "/resolve/" in path]
