"""A port on its way to the Hub: one commit, which replaces the port that was there."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sb3port.checkpoint.checkpoint import Provenance
from sb3port.checkpoint.version import __version__
from sb3port.commands.publishing.contents import Upload
from sb3port.commands.publishing.refusals import refusals
from sb3port.errors import SourceUnreachable, UsageError
from sb3port.files.port_files import CARD, PORT_FILE, port_files
from sb3port.readers.places.hub_errors import endpoint

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

_IN_NEW_REPOSITORIES = {".gitattributes", CARD}


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Args:
        url: The repository's page.
        commit: Hash of the commit, or of the newest one where nothing had changed.
        commit_url: Its page.
        pull_request: Page of the pull request, None without one.
        changed: False where the repository had it all already.
    """

    url: str
    commit: str
    commit_url: str
    pull_request: str | None
    changed: bool


@dataclass(frozen=True)
class _Repository:
    """What is there before the push."""

    commit: str
    private: bool
    names: Collection[str]


def check_name(repo_id: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        UsageError: It is not `owner/name`.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # public, not typed so

    try:
        validate_repo_id(repo_id)
        named = "/" in repo_id
    except HFValidationError:
        named = False
    if not named:
        raise UsageError(f"{repo_id!r} cannot be a repository's name", "names on the Hub are `owner/name`")


def push(upload: Upload, private: bool = False, create_pr: bool = False) -> Pushed:
    """Make the commit, and the repository if there is none.

    Args:
        upload: What shall be there.
        private: Make a new repository a private one.
        create_pr: Propose the commit in a pull request.

    Raises:
        UsageError: The repository is no port and would be overwritten, is public though `private` was asked
            for, or the card's metadata are not valid.
        SourceUnreachable: No token, no right to write, or no connection.
    """
    from huggingface_hub import HfApi

    api = HfApi(library_name="sb3port", library_version=__version__)
    with refusals(upload.repo_id):
        found = _find(api, upload.repo_id) or _create(api, upload.repo_id, private)
        _refuse(upload.repo_id, found, private, create_pr)
        title, description = _message(upload)
        done = api.create_commit(
            upload.repo_id,
            list(_operations(upload, found.names)),
            commit_message=title,
            commit_description=description,
            create_pr=create_pr,
            parent_commit=found.commit,
        )
    url = f"{endpoint()}/{upload.repo_id}"
    return Pushed(url, done.oid, done.commit_url, done.pr_url, done.oid != found.commit)


def _find(api: "HfApi", repo_id: str) -> _Repository | None:
    """Look at a repository; to those who may not see it, the Hub says that there is none."""
    from huggingface_hub import constants
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo_id, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except RepositoryNotFoundError:
        return None
    names = [entry.rfilename for entry in info.siblings or ()]
    return _Repository(str(info.sha), bool(info.private), names)


def _create(api: "HfApi", repo_id: str, private: bool) -> _Repository:
    # Without --private the owner's own settings decide.
    api.create_repo(repo_id, private=private or None, exist_ok=True)
    found = _find(api, repo_id)
    if found is None:  # it is another's, and private
        raise SourceUnreachable(f"{repo_id} is taken, and you may not see it", "choose another name")
    return found


def _refuse(repo_id: str, found: _Repository, private: bool, create_pr: bool) -> None:
    if private and not found.private:
        hint = "make it private on the Hub first, or choose another name"
        raise UsageError(f"{repo_id} is there and public, which --private does not change", hint)
    if not create_pr and PORT_FILE not in found.names and set(found.names) - _IN_NEW_REPOSITORIES:
        hint = "choose another name, or propose the port with --create-pr"
        raise UsageError(f"{repo_id} holds something else than a port, which push does not replace", hint)


def _operations(
    upload: Upload, there: Collection[str]
) -> "Iterator[CommitOperationAdd | CommitOperationDelete]":
    """Add what shall be there, and delete what an earlier port has left; other files stay."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    for name, content in upload.files.items():
        yield CommitOperationAdd(name, content)
    for name in port_files(there):
        if name not in upload.files:
            yield CommitOperationDelete(name)


def _message(upload: Upload) -> tuple[str, str]:
    """Give the first line of the commit's message, and the rest."""
    source = _source(upload.checkpoint.provenance)
    compared = f"Compared with its source: {upload.verdict}." if upload.verdict else "Not compared yet."
    return f"Upload a LeRobot port of {source}", f"{compared} Written by sb3port {__version__}."


def _source(provenance: Provenance) -> str:
    revision = f"@{provenance.revision[:12]}" if provenance.revision else ""
    return f"{provenance.location if provenance.kind == 'hub' else provenance.name}{revision}"
