"""Which files of a source are meant: its checkpoint, and the statistics that go with it.

Names decide first; where they do not, a look at the first or last bytes of a file does, so that no file is
fetched that is not needed.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import PurePosixPath

from sb3port.errors import NotPortable, UsageError
from sb3port.readers.formats.archive import ZipKind, zip_kind
from sb3port.readers.formats.pickles import first_global
from sb3port.readers.places import layouts
from sb3port.readers.places.layouts import Candidate
from sb3port.readers.places.source_files import Files

_TAIL = 4096  # the list of an SB3 zip's members has 400 bytes
_HEAD = 512
_MAX_LOOKS = 32  # each is a request where the files are on the Hub
_MAX_SHOWN = 20


class Evidence(Enum):
    """Why a pickle is taken for the statistics of a checkpoint."""

    GIVEN = auto()
    """The user says so."""
    NAME = auto()
    """Its name and place say so."""
    CONTENT = auto()
    """It holds VecNormalize statistics, and nothing speaks against it yet."""


@dataclass(frozen=True)
class Statistics:
    """The VecNormalize pickles that may be those of a checkpoint; which one fits shows when it is read.

    Args:
        names: Their names within the source; an absolute path for one that is not in it.
        evidence: Why they are taken for that.
    """

    names: tuple[str, ...] = ()
    evidence: Evidence = Evidence.NAME


def choose_checkpoint(files: Files, name: str, label: str, filename: str | None = None) -> Candidate:
    """Choose the checkpoint that is meant among the files of a repository or folder.

    `{name}.zip` decides by itself, then the one zip beside a folder of the same name, then the only one. A
    checkpoint that was unzipped counts where there is no zip.

    Args:
        files: What there is.
        name: The repository's or folder's own name.
        label: What to call the source in an error message.
        filename: The user's choice, which beats all others: a zip, or a folder to choose from.

    Raises:
        UsageError: The user's choice is absent, or several could be meant (all of them are listed).
        NotPortable: There is none.
    """
    if filename is None:
        return _choose(files, files.names, f"{name}.zip", label)
    wanted = filename.rstrip("/")
    unzipped = {key: c for c in layouts.unzipped(files.names) for key in (c.shown, c.name)}
    for exact in (wanted, f"{wanted}.zip"):
        if exact in unzipped or exact in files.names:
            return unzipped.get(exact, Candidate(exact))
    below = [other for other in files.names if other.startswith(f"{wanted}/")]
    if not below:
        raise UsageError(f"{label} has no file {filename}", f"it has: {listed(files.names)}")
    return _choose(files, below, f"{wanted}/{PurePosixPath(wanted).name}.zip", f"{wanted} of {label}")


def _choose(files: Files, names: Sequence[str], preferred: str, label: str) -> Candidate:
    zips, unzipped = layouts.zips(names), layouts.unzipped(names)
    if preferred in names:
        return Candidate(preferred)
    if len(zips) == 1 and not layouts.suffixless(names) and all(c.place == zips[0].place for c in unzipped):
        return zips[0]
    kinds = _look(files, zips)
    found = [zip for zip, kind in kinds.items() if kind in (ZipKind.SB3, ZipKind.POINTER)]
    found = found or unzipped or _suffixless(files, names)
    if not found:
        return _explain_none(kinds, names, label)
    for group in (layouts.with_own_folder(found, names), found):
        if len(group) == 1:
            return group[0]
    if all(kinds.get(candidate) is ZipKind.POINTER for candidate in found):
        return found[0]
    shown = [candidate.shown for candidate in found]
    raise UsageError(
        f"{label} holds several checkpoints: {listed(shown)}",
        f"name one of them, for example: --filename {shlex.quote(shown[0])}",
    )


def _look(files: Files, zips: Sequence[Candidate]) -> dict[Candidate, ZipKind]:
    """Tell by its list of members what each zip is; too many to look at are taken for checkpoints."""
    if len(zips) > _MAX_LOOKS:
        return dict.fromkeys(zips, ZipKind.SB3)
    return {candidate: zip_kind(files.tail(candidate.name, _TAIL)) for candidate in zips}


def _suffixless(files: Files, names: Sequence[str]) -> list[Candidate]:
    """Find the zips that are not called so: SB3 adds no `.zip` to a name such as `ppo_v1.2`."""
    maybe = layouts.suffixless(names)[:_MAX_LOOKS]
    return [zip for zip, kind in _look(files, maybe).items() if kind is ZipKind.SB3]


def _explain_none(kinds: Mapping[Candidate, ZipKind], names: Sequence[str], label: str) -> Candidate:
    """Give the only zip, or one of Stable Baselines 2, of which reading it says what it is."""
    for candidate, kind in kinds.items():
        if kind is ZipKind.SB2 or len(kinds) == 1:
            return candidate
    raise NotPortable(f"{label} holds no SB3 checkpoint", f"it holds: {listed(names)}")


def choose_statistics(files: Files, checkpoint: Candidate) -> Statistics:
    """Choose the VecNormalize pickles that may go with a checkpoint, by name and place before content."""
    names, listing = files.names, layouts.Listing(files.names)
    if own := _holding(files, layouts.same_step(listing, checkpoint)):
        return Statistics(tuple(own))
    near = layouts.conventional(listing, checkpoint)
    named = [name for name in layouts.same_name(listing, checkpoint) if name not in near]
    if found := (*near, *_holding(files, named)):
        return Statistics(found)
    candidates = layouts.zips(names) or layouts.unzipped(names)
    rest = _holding(files, layouts.others(listing, checkpoint, candidates))
    return Statistics(tuple(rest), Evidence.CONTENT)


def _holding(files: Files, names: Sequence[str]) -> list[str]:
    """Keep the files that hold a VecNormalize, of which a glance is taken."""
    return [name for name in names[:_MAX_LOOKS] if is_vecnormalize(files.head(name, _HEAD))]


def listed(names: Sequence[str]) -> str:
    """List names for a message; of very many the first ones."""
    shown = ", ".join(names[:_MAX_SHOWN]) or "nothing"
    return shown + (f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else "")


def is_vecnormalize(beginning: bytes) -> bool:
    """Whether a file that begins like this is a pickled VecNormalize, so far as its first 512 bytes show.

    It may be of a class of somebody's own, which is named like it.
    """
    found = first_global(beginning[:512])
    return found is not None and "vecnormalize" in found.name.lower()
