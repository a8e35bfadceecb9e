"""Lists and downloads the files of a model repository on the Hub.

All traffic goes through `huggingface_hub`, so that its cache, its login and its environment variables
(`HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, …) mean here what they mean everywhere. It is
imported inside the functions: that costs 0.4 s, which commands without the Hub need not pay.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import ERROR, WARNING
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sb3port.errors import Sb3portError, SourceUnreachable, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True)
class RepoFiles:
    """The files of a model repository at one commit.

    Args:
        repo_id: `owner/name`.
        revision: The commit, 40 hexadecimal digits, that `names` describes.
        requested: The branch, tag or commit that was asked for, or None for the default branch.
        names: Every file as a POSIX path, sorted; what the cache holds of them where `folder` is set.
        folder: The snapshot in the cache when the Hub could not be asked, else None.
    """

    repo_id: str
    revision: str
    requested: str | None
    names: tuple[str, ...]
    folder: Path | None


class _HubAway(SourceUnreachable):
    """No answer, or one that says nothing about the repository: the cache may still serve (3)."""


def list_repo(repo_id: str, revision: str | None = None) -> RepoFiles:
    """List the files of a repository, and pin the commit that they belong to.

    Asks the Hub; where that is not possible (offline mode, no connection, an answer of 429 or 5xx) the cache
    answers, if an earlier `download` of the same revision filled it.

    Args:
        repo_id: `owner/name`.
        revision: A branch, tag or commit; None for the default branch.

    Raises:
        UsageError: `repo_id` or `revision` cannot be the name of one.
        SourceUnreachable: No such repository or revision, no access to it, or an answer from neither Hub nor
            cache.
    """
    what = _label(repo_id, revision)
    _check_revision(revision)
    try:
        with _plain_errors(repo_id, what):
            return _list_hub(repo_id, revision)
    except _HubAway as away:
        with _plain_errors(repo_id, what):
            return _list_cache(repo_id, revision, away)


def download(repo: RepoFiles, names: Sequence[str]) -> Path:
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


def _list_hub(repo_id: str, revision: str | None) -> RepoFiles:
    from huggingface_hub import constants

    api = _api()
    # Without a timeout `model_info` waits for ever; this is the library's own for the metadata of files.
    commit = api.model_info(repo_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT).sha
    if commit is None:
        raise ValueError("the answer names no commit")
    # `model_info` lists files as well, but not all of them in a very large repository.
    names = sorted(api.list_repo_files(repo_id, revision=commit))
    return RepoFiles(repo_id, commit, revision, tuple(names), None)


def _list_cache(repo_id: str, revision: str | None, away: _HubAway) -> RepoFiles:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # No pattern: we ask where the snapshot is, not that it be complete, which `download` leaves it never.
        path = snapshot_download(repo_id, revision=revision, local_files_only=True, allow_patterns=[])
    except LocalEntryNotFoundError:
        raise away from away.__cause__
    folder = Path(path)
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    if not names:  # a download that failed leaves the folder
        raise away from away.__cause__
    return RepoFiles(repo_id, folder.name, revision, tuple(names), folder)


def _download_file(repo: RepoFiles, name: str) -> Path:
    with _plain_errors(repo.repo_id, f"{name} of {_label(repo.repo_id, repo.requested)}"):
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
    unfinished.write_text(text)
    unfinished.replace(path)


def _check_revision(revision: str | None) -> None:
    """Refuse what git refuses in a name: the cache has a file of this name, which must not lie elsewhere."""
    if revision is not None and (not revision or ".." in revision or revision.startswith("/")):
        raise UsageError(f"{revision!r} cannot be a revision", "name a branch, a tag or a commit")


def _check_names(repo: RepoFiles, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in repo.names]
    if not missing:
        return
    what = _label(repo.repo_id, repo.requested)
    if repo.folder is None:
        page = f"{_endpoint()}/{repo.repo_id}/tree/{repo.revision}"
        raise SourceUnreachable(f"{what} has no file {missing[0]}", f"its files are listed at {page}")
    raise SourceUnreachable(
        f"{missing[0]} of {what} is not in the cache, and the Hub cannot be asked for it",
        "run once with a connection and without HF_HUB_OFFLINE",
    )


def _api() -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(library_name="sb3port")


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _default_revision() -> str:
    from huggingface_hub import constants

    return constants.DEFAULT_REVISION


def _label(repo_id: str, revision: str | None) -> str:
    """Name a revision as the command line does."""
    return f"{repo_id}@{revision or _default_revision()}"


@contextmanager
def _plain_errors(repo_id: str, what: str) -> Iterator[None]:
    """Keep the library's warnings off the screen, and say its errors in one sentence about `what`."""
    import httpx
    from huggingface_hub.utils import logging

    verbosity = logging.get_verbosity()
    # A level that the user chose stays; at the default one, what the warnings announce is told below.
    if verbosity == WARNING:
        logging.set_verbosity(ERROR)
    try:
        yield
    except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise _explain(error, repo_id, what) from error
    finally:
        logging.set_verbosity(verbosity)


def _explain(error: Exception, repo_id: str, what: str) -> Sb3portError:
    import httpx
    from huggingface_hub import errors

    if isinstance(error, errors.HFValidationError):
        return UsageError(f"{repo_id!r} cannot be a repository's name", "names on the Hub are `owner/name`")
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the file is not cached either, which goes without saying
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_answer(error, repo_id, what)
    if isinstance(error, errors.OfflineModeIsEnabled):
        hint = "run once without HF_HUB_OFFLINE; after that it works offline"
        return _HubAway(f"{what} is not in the cache, and offline mode forbids to ask the Hub", hint)
    if isinstance(error, httpx.TransportError):
        hint = "check the connection and HF_ENDPOINT; what was downloaded once works without"
        why = f"the connection to {_endpoint()} failed ({_reason(error)})"
        return _HubAway(f"{what} cannot be fetched: {why}", hint)
    if isinstance(error, OSError) and error.errno is not None:
        hint = "free some space, or set HF_HOME to a folder that can be written"
        return SourceUnreachable(f"{what} cannot be stored in the cache ({error.strerror})", hint)
    hint = "check HF_ENDPOINT and whatever stands between here and the Hub, then try again"
    why = f"{_endpoint()} does not answer as a Hub ({_reason(error)})"
    return _HubAway(f"{what} cannot be fetched: {why}", hint)


def _explain_answer(error: "HfHubHTTPError", repo_id: str, what: str) -> SourceUnreachable:
    from huggingface_hub import errors

    status = error.response.status_code
    page = f"{_endpoint()}/{repo_id}"
    if isinstance(error, errors.GatedRepoError):
        hint = f"ask for it at {page}, then {_LOG_IN}"
        return SourceUnreachable(f"Access to {what} must be granted by its owner", hint)
    if isinstance(error, errors.RepositoryNotFoundError) or _is_anonymous(error):
        hint = f"check the name; if it is private, {_LOG_IN}"
        return SourceUnreachable(f"{what}: the Hub has no such repository, or it is private", hint)
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceUnreachable(f"{what}: the repository has no such revision", f"see {page}/commits/main")
    if status in (401, 403):
        hint = f"for a token that may read it, {_LOG_IN}"
        return SourceUnreachable(f"The Hub refuses access to {what} ({status})", hint)
    if status in (408, 429) or status >= 500:
        return _HubAway(f"{what} cannot be fetched: {_endpoint()} answers {status}", "try again later")
    return SourceUnreachable(f"{what} cannot be fetched: {_endpoint()} answers {status}", f"see {page}")


def _is_anonymous(error: "HfHubHTTPError") -> bool:
    """Whether a 401 says that no token was sent, which is the answer for missing and private repositories.

    A bad token gets another message. The library tells the two apart, but for https addresses only.
    """
    refused = error.response.headers.get("X-Error-Message") == "Invalid credentials in Authorization header"
    return error.response.status_code == 401 and not refused


def _reason(error: Exception) -> str:
    """First line of the library's own words, which go on for paragraphs, or the error's type."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
