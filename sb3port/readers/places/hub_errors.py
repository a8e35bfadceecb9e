"""What `huggingface_hub` and the Hub answer, said in one sentence that tells what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging import ERROR, WARNING
from typing import TYPE_CHECKING

from sb3port.errors import Sb3portError, SourceUnreachable, UsageError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


class HubAway(SourceUnreachable):
    """No answer, or one that says nothing about the repository: the cache may still serve (3).

    Args:
        busy: Whether the Hub is there and may answer soon.
        wait: After how many seconds it wants to be asked again, None if it does not say.
    """

    def __init__(self, message: str, hint: str, busy: bool = False, wait: float | None = None) -> None:
        super().__init__(message, hint)
        self.busy = busy
        self.wait = wait


def endpoint() -> str:
    """Give the address of the Hub, which `HF_ENDPOINT` sets."""
    from huggingface_hub import constants

    return constants.ENDPOINT


@contextmanager
def quiet_library() -> Iterator[None]:
    """Keep the library's warnings off the screen."""
    from huggingface_hub.utils import logging

    verbosity = logging.get_verbosity()
    # A level that the user chose stays; at the default one, what the warnings announce is told otherwise.
    if verbosity == WARNING:
        logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def library_errors() -> tuple[type[Exception], ...]:
    """Give all that the library raises: its HTTP client is httpx since its version 1, and requests before."""
    own = (OSError, ValueError, KeyError, TypeError)  # those of requests are OSErrors
    with suppress(ImportError):
        import httpx

        return (*own, httpx.HTTPError, httpx.InvalidURL)
    return own


def is_connection_error(error: Exception) -> bool:
    """Whether there was no answer at all."""
    kinds: list[type[Exception]] = []
    with suppress(ImportError):
        import httpx

        kinds.append(httpx.TransportError)
    with suppress(ImportError):
        import requests

        kinds += [requests.ConnectionError, requests.Timeout]
    return isinstance(error, tuple(kinds))


@contextmanager
def plain_errors(repo_id: str, what: str) -> Iterator[None]:
    """Keep the library's warnings off the screen, and say its errors in one sentence about `what`."""
    try:
        with quiet_library():
            yield
    except library_errors() as error:
        raise _explain(error, repo_id, what) from error


def _explain(error: Exception, repo_id: str, what: str) -> Sb3portError:
    from huggingface_hub import errors

    if isinstance(error, errors.HFValidationError):
        return UsageError(f"{repo_id!r} cannot be a repository's name", "names on the Hub are `owner/name`")
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the file is not cached either, which goes without saying
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_answer(error, repo_id, what)
    if isinstance(error, errors.OfflineModeIsEnabled):
        hint = "run once without HF_HUB_OFFLINE; after that it works offline"
        return HubAway(f"{what} is not in the cache, and offline mode forbids to ask the Hub", hint)
    if is_connection_error(error):
        hint = "check the connection and HF_ENDPOINT; what was downloaded once works without"
        why = f"the connection to {endpoint()} failed ({reason(error)})"
        return HubAway(f"{what} cannot be fetched: {why}", hint)
    if isinstance(error, OSError) and error.errno is not None:
        hint = "free some space, or set HF_HOME to a folder that can be written"
        return SourceUnreachable(f"{what} cannot be stored in the cache ({error.strerror})", hint)
    hint = "check HF_ENDPOINT and whatever stands between here and the Hub, then try again"
    why = f"{endpoint()} does not answer as a Hub ({reason(error)})"
    return HubAway(f"{what} cannot be fetched: {why}", hint)


def _explain_answer(error: "HfHubHTTPError", repo_id: str, what: str) -> SourceUnreachable:
    from huggingface_hub import errors

    status = error.response.status_code
    page = f"{endpoint()}/{repo_id}"
    if isinstance(error, errors.GatedRepoError):
        hint = f"ask for it at {page}, then {LOG_IN}"
        return SourceUnreachable(f"Access to {what} must be granted by its owner", hint)
    if isinstance(error, errors.RepositoryNotFoundError) or _is_anonymous(error):
        hint = f"check the name; if it is private, {LOG_IN}"
        return SourceUnreachable(f"{what}: the Hub has no such repository, or it is private", hint)
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceUnreachable(f"{what}: the repository has no such revision", f"see {page}/commits/main")
    if status in (401, 403):
        hint = f"for a token that may read it, {LOG_IN}"
        return SourceUnreachable(f"The Hub refuses access to {what} ({status})", hint)
    if status in (408, 429) or status >= 500:
        message, wait = f"{what} cannot be fetched: {endpoint()} answers {status}", retry_after(error)
        return HubAway(message, later(status, wait), busy=True, wait=wait)
    return SourceUnreachable(f"{what} cannot be fetched: {endpoint()} answers {status}", f"see {page}")


def later(status: int, wait: float | None) -> str:
    """Say when to try again after an answer of that status."""
    when = f"in {wait:,.0f} s" if wait else "later"
    return f"try again {when}" + (f"; {LOG_IN} for a higher limit" if status == 429 else "")


def retry_after(error: "HfHubHTTPError") -> float | None:
    """Read `Retry-After`, or the `t` of the `RateLimit` header: seconds until the limit is lifted."""
    headers = error.response.headers
    found = re.search(r"(?:^|[;,\s]t=)(\d+)", headers.get("Retry-After") or headers.get("RateLimit", ""))
    return float(found[1]) if found else None


def _is_anonymous(error: "HfHubHTTPError") -> bool:
    """Whether a 401 says that no token was sent, which is the answer for missing and private repositories.

    A bad token gets another message. The library tells the two apart, but for https addresses only.
    """
    refused = error.response.headers.get("X-Error-Message") == "Invalid credentials in Authorization header"
    return error.response.status_code == 401 and not refused


def reason(error: Exception) -> str:
    """Give the first line of the library's own words, which go on for paragraphs, or the error's type."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
