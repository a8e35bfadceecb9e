"""Why the Hub did not take a port, said in one sentence that tells what to do."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sb3port.errors import Sb3portError, SourceUnreachable, UsageError
from sb3port.files.port_files import CARD
from sb3port.readers.places.hub_errors import (
    LOG_IN,
    endpoint,
    is_connection_error,
    later,
    library_errors,
    quiet_library,
    reason,
    retry_after,
)

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_INVALID_CARD = "Invalid metadata in README.md."


@contextmanager
def refusals(repo_id: str) -> Iterator[None]:
    """Keep the library's warnings off the screen, and say its errors about a push to `repo_id`."""
    try:
        with quiet_library(), _no_bars(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as for odd metadata
            yield
    except library_errors() as error:
        raise _explain(error, repo_id) from error


@contextmanager
def _no_bars() -> Iterator[None]:
    """Draw no progress bars, which the library does for uploads without a terminal, too."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined] # public, not typed so
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _explain(error: Exception, repo_id: str) -> Sb3portError:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return _explain_answer(error, repo_id)
    if isinstance(error, OfflineModeIsEnabled):
        hint = "unset HF_HUB_OFFLINE, or look at what would go up with --dry-run"
        return SourceUnreachable(f"{repo_id} cannot be reached: offline mode forbids it", hint)
    if is_connection_error(error):
        why = f"the connection to {endpoint()} failed ({reason(error)})"
        return SourceUnreachable(
            f"{repo_id} cannot be reached: {why}", "check the connection and HF_ENDPOINT"
        )
    if str(error).startswith(_INVALID_CARD):
        return _invalid_card(str(error))
    hint = "check HF_ENDPOINT and whatever stands between here and the Hub"
    why = f"{endpoint()} does not answer as a Hub ({reason(error)})"
    return SourceUnreachable(f"{repo_id} cannot be reached: {why}", hint)


def _explain_answer(error: "HfHubHTTPError", repo_id: str) -> Sb3portError:
    status = error.response.status_code
    page = f"{endpoint()}/{repo_id}"
    if status == 401:
        return _no_token(repo_id)
    if status == 403:
        hint = f"push to a name of your own, use a token that may write ({LOG_IN}), or try --create-pr"
        return SourceUnreachable(f"The Hub does not let you write to {repo_id}", hint)
    if status == 404:
        return SourceUnreachable(f"The Hub has no place for {repo_id}", "check the owner's name")
    if status in (409, 412):
        return SourceUnreachable(f"{repo_id} was changed by somebody else meanwhile", "push again")
    if status in (408, 429) or status >= 500:
        hint = later(status, retry_after(error))
        return SourceUnreachable(f"{repo_id} cannot be reached: {endpoint()} answers {status}", hint)
    why = (error.server_message or str(status)).splitlines()[0]
    return SourceUnreachable(f"The Hub refuses {repo_id}: {why}", f"see {page}")


def _no_token(repo_id: str) -> SourceUnreachable:
    from huggingface_hub import get_token

    if get_token() is None:
        return SourceUnreachable(f"Pushing to {repo_id} takes a token, and there is none", LOG_IN)
    return SourceUnreachable(f"The Hub does not accept the token for {repo_id}", f"for another one, {LOG_IN}")


def _invalid_card(message: str) -> UsageError:
    why = message.removeprefix(_INVALID_CARD).strip().removeprefix("- ").splitlines()
    told = f": {why[0]}" if why else ""
    return UsageError(f"The metadata in {CARD} are not valid{told}", "mend the lines between --- in it")
