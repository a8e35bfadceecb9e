"""Lists and downloads the files of a model repository on the Hub.

All traffic goes through `huggingface_hub`, so that its cache, its login and its environment variables
(`HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, …) mean here what they mean everywhere. It is
imported inside the functions: that costs 0.4 s, which commands without the Hub need not pay.
"""

import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from sb3port.errors import SourceUnreachable, UsageError
from sb3port.readers.places.hub_errors import HubAway, endpoint, plain_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_WAITS = (1.0, 2.0, 4.0)
_MAX_WAIT = 60.0
"""Seconds to wait before asking a busy Hub again."""


@dataclass(frozen=True)
class RepoFiles:
    """The files of a model repository at one commit.

    Args:
        repo_id: `owner/name`.
        revision: The commit, 40 hexadecimal digits, that `names` describes.
        requested: The branch, tag or commit that was asked for, or None for the default branch.
        names: Every file as a POSIX path, sorted; what the cache holds of them where `folder` is set.
        folder: The snapshot in the cache when the Hub could not be asked, else None.
        sizes: The size of every file in bytes.
    """

    repo_id: str
    revision: str
    requested: str | None
    names: tuple[str, ...]
    folder: Path | None
    sizes: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def origin(self) -> tuple[str, ...]:
        """The repository's own name, as that of a folder."""
        return (self.repo_id.partition("/")[2],)

    def head(self, name: str, size: int) -> bytes:
        """Give the first bytes of a file; errors are those of `download`."""
        return read_part(self, name, range(min(size, self.sizes[name])))

    def tail(self, name: str, size: int) -> bytes:
        """Give the last bytes of a file; errors are those of `download`."""
        return read_part(self, name, range(max(0, self.sizes[name] - size), self.sizes[name]))

    def fetch(self, names: Collection[str]) -> Path:
        """Bring files into the cache, as `download` does."""
        return download(self, names)


def list_repo(repo_id: str, revision: str | None = None) -> RepoFiles:
    """List the files of a repository, and pin the commit that they belong to.

    Asks the Hub; where that is not possible (offline mode, no connection, an answer of 429 or 5xx) the cache
    answers, if an earlier `download` of the same revision filled it. If not, a busy Hub is asked again.

    Args:
        repo_id: `owner/name`.
        revision: A branch, tag or commit; None for the default branch.

    Raises:
        UsageError: `repo_id` or `revision` cannot be the name of one.
        SourceUnreachable: No such repository or revision, no access to it, or an answer from neither Hub nor
            cache.
    """
    _check_revision(revision)
    what = _label(repo_id, revision)
    for wait in (*_WAITS, None):
        try:
            with plain_errors(repo_id, what):
                return _list_hub(repo_id, revision)
        except HubAway as away:
            with plain_errors(repo_id, what):
                cached = _list_cache(repo_id, revision)
            if cached is not None:
                return cached
            _wait(away, wait)
    raise AssertionError("unreachable")


def _patiently(ask: Callable[[], T]) -> T:
    """Ask a busy Hub again: the library repeats a download that breaks off, but not its first question."""
    for wait in (*_WAITS, None):
        try:
            return ask()
        except HubAway as away:
            _wait(away, wait)
    raise AssertionError("unreachable")


def _wait(away: HubAway, seconds: float | None) -> None:
    """Wait for a busy Hub, or raise that it is away: it is not busy, or has been asked often enough."""
    if seconds is None or not away.busy or (away.wait or 0.0) > _MAX_WAIT:
        raise away
    time.sleep(away.wait or seconds)


def list_models(author: str, search: str | None = None) -> list[str]:
    """List the model repositories of a user or an organisation, by name.

    Args:
        author: Whose.
        search: Only those in whose names this is.

    Raises:
        UsageError: There are none.
        SourceUnreachable: The Hub cannot be asked.
    """
    found = _patiently(lambda: _list_models(author, search))
    if not found:
        named = f" with {search} in their names" if search else ""
        raise UsageError(f"{author} has no models on the Hub{named}")
    return sorted(found)


def _list_models(author: str, search: str | None) -> list[str]:
    with plain_errors(author, f"the list of {author}'s models"):
        return [model.id for model in _api().list_models(author=author, search=search)]


def download(repo: RepoFiles, names: Collection[str]) -> Path:
    """Bring some files of a listed repository into the cache, at the commit of the listing.

    Then the revision that was asked for is recorded there, so that `list_repo` finds it without the Hub.

    Args:
        repo: What `list_repo` gave.
        names: At least one of `repo.names`; no wildcards.

    Returns:
        The folder that holds the files under their names. It is the cache's own: read it, never write to it.

    Raises:
        SourceUnreachable: A file that is not in `repo.names`, no access, or no connection.
    """
    _check_names(repo, names)
    # Files of a commit never change: the library takes those that are cached without asking the Hub.
    folders = [_download_file(repo, name) for name in names]
    _record_revision(folders[0], repo)
    return folders[0]


def read_part(repo: RepoFiles, name: str, part: range) -> bytes:
    """Read some bytes of a file, from the cache if it is there, else by a request for those alone.

    Raises:
        SourceUnreachable: As `download` does.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo.repo_id, name, revision=repo.revision)
    if isinstance(cached, str):
        with Path(cached).open("rb") as file:
            file.seek(part.start)
            return file.read(len(part))
    if not part:
        return b""
    return _patiently(lambda: _read_once(repo, name, part))


def _read_once(repo: RepoFiles, name: str, part: range) -> bytes:
    with plain_errors(repo.repo_id, f"{name} of {_label(repo.repo_id, repo.requested)}"):
        return _request_part(repo, name, part)


def _request_part(repo: RepoFiles, name: str, part: range) -> bytes:
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined] # public, but not typed so
        build_hf_headers,
        hf_raise_for_status,
        http_backoff,
    )

    url = hf_hub_url(repo.repo_id, name, revision=repo.revision)
    wanted = {"Range": f"bytes={part.start}-{part.stop - 1}", "Accept-Encoding": "identity"}
    headers = build_hf_headers(library_name="sb3port") | wanted
    response = http_backoff("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    hf_raise_for_status(response)
    whole = response.status_code != 206  # something on the way knows no ranges
    return response.content[part.start : part.stop] if whole else response.content


def _list_hub(repo_id: str, revision: str | None) -> RepoFiles:
    from huggingface_hub import constants
    from huggingface_hub.hf_api import RepoFile

    api = _api()
    # Without a timeout `model_info` waits for ever; this is the library's own for the metadata of files.
    commit = api.model_info(repo_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT).sha
    if commit is None:
        raise ValueError("the answer names no commit")
    # `model_info` lists files as well, but not all of them in a very large repository.
    entries = api.list_repo_tree(repo_id, recursive=True, revision=commit)
    sizes = {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}
    return RepoFiles(repo_id, commit, revision, tuple(sorted(sizes)), None, sizes)


def _list_cache(repo_id: str, revision: str | None) -> RepoFiles | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # No pattern: we ask where the snapshot is, not that it be complete, which `download` leaves it never.
        path = snapshot_download(repo_id, revision=revision, local_files_only=True, allow_patterns=[])
    except LocalEntryNotFoundError:
        return None
    folder = Path(path)
    files = [file for file in folder.rglob("*") if file.is_file()]
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}
    if not sizes:  # a download that failed leaves the folder
        return None
    return RepoFiles(repo_id, folder.name, revision, tuple(sorted(sizes)), folder, sizes)


def _download_file(repo: RepoFiles, name: str) -> Path:
    return _patiently(lambda: _download_once(repo, name))


def _download_once(repo: RepoFiles, name: str) -> Path:
    with plain_errors(repo.repo_id, f"{name} of {_label(repo.repo_id, repo.requested)}"):
        path = Path(_api().hf_hub_download(repo.repo_id, name, revision=repo.revision))
    return path.parents[len(PurePosixPath(name).parts) - 1]


def _record_revision(folder: Path, repo: RepoFiles) -> None:
    """Write `refs/<revision>` of the cache, which the library omits when it is asked for a commit.

    Asking it for the branch instead would resolve the branch anew, and another commit might answer.
    """
    revision = repo.requested or _default_revision()
    if _COMMIT.fullmatch(revision):
        return
    # Without the record the files are still there: a cache that is not ours to write is no reason to fail.
    with suppress(OSError):
        _write_atomically(folder.parent.parent / "refs" / revision, repo.revision)


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _check_revision(revision: str | None) -> None:
    """Refuse what git refuses in a name: the cache has a file of this name, which must not lie elsewhere."""
    if revision is not None and (not revision or ".." in revision or revision.startswith("/")):
        raise UsageError(f"{revision!r} cannot be a revision", "name a branch, a tag or a commit")


def _check_names(repo: RepoFiles, names: Collection[str]) -> None:
    missing = [name for name in names if name not in repo.names]
    if not missing:
        return
    what = _label(repo.repo_id, repo.requested)
    if repo.folder is None:
        page = f"{endpoint()}/{repo.repo_id}/tree/{repo.revision}"
        raise SourceUnreachable(f"{what} has no file {missing[0]}", f"its files are listed at {page}")
    raise SourceUnreachable(
        f"{missing[0]} of {what} is not in the cache, and the Hub cannot be asked for it",
        "run once with a connection and without HF_HUB_OFFLINE",
    )


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(library_name="sb3port")


def _default_revision() -> str:
    from huggingface_hub import constants

    return constants.DEFAULT_REVISION


def _label(repo_id: str, revision: str | None) -> str:
    """Name a revision as the command line does."""
    return f"{repo_id}@{revision or _default_revision()}"
