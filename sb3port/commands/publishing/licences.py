"""Under which licence a source is published: what the metadata of its model card says."""

import re
from typing import Any
from urllib.parse import urlsplit

from sb3port.checkpoint.checkpoint import Provenance
from sb3port.errors import NotPortable, SourceUnreachable, UsageError
from sb3port.files.port_files import CARD
from sb3port.files.texts.markdown import code, markdown
from sb3port.ports.card.facts import Licence
from sb3port.readers.formats.zoo_yaml import read_front_matter

_ID = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
_FIELDS = ("license", "license_name", "license_link")
_MAX_CARD = 2**20
_NOT_STATED = Licence(markdown("Not stated."))


def licence_of(provenance: Provenance) -> Licence:
    """Look up the licence of a source; only a repository on the Hub can state one."""
    if provenance.base_model is None:
        return _NOT_STATED
    try:
        stated = _stated(provenance)
    except (SourceUnreachable, UsageError):
        return Licence(markdown("Not known: the source's repository could not be asked."))
    name = stated.get("license")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        return Licence(markdown("Not stated: the source's repository names no licence."))
    known = {field: str(stated[field]) for field in _FIELDS if stated.get(field)}
    if urlsplit(known.get("license_link", "")).scheme not in ("", "http", "https"):
        del known["license_link"]
    return Licence(markdown("That of the source: {}, as its model card says.", code(name)), known)


def _stated(provenance: Provenance) -> dict[str, Any]:
    """Read the metadata of the source's card, empty where there is none that can be read."""
    from sb3port.readers.places.hub import list_repo

    location, revision = provenance.base_model or ("", "")
    repo = list_repo(location, revision or None)
    if CARD not in repo.names or repo.sizes[CARD] > _MAX_CARD:
        return {}
    try:
        found = read_front_matter(repo.fetch([CARD]) / CARD, CARD)
    except NotPortable:  # written by hand
        return {}
    return found if isinstance(found, dict) else {}
