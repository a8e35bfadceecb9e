"""Which files of a source are meant: its checkpoint, and the statistics that go with it.

Names decide first; where they do not, a look at the first or last bytes of a file does, so that no file is
fetched that is not needed.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath

from sb3port.errors import NotPortable, UsageError
from sb3port.readers.formats.archive import ZipKind, zip_kind
from sb3port.readers.formats.pickles import first_global
from sb3port.readers.places import layouts
from sb3port.readers.places.layouts import Candidate
from sb3port.readers.places.nearby import Near, nearby
from sb3port.readers.places.source_files import Files
from sb3port.readers.places.words import Relation

_TAIL = 4096  # the list of an SB3 zip's members has 400 bytes
_HEAD = 512
_MAX_LOOKS = 32  # each is a request where the files are on the Hub
_MAX_SHOWN = 20
_MAX_READ = 16  # pickles that are read to choose among them
_MAX_FOREIGN = 2


@dataclass(frozen=True)
class Statistics:
    """The VecNormalize pickles that may be those of a checkpoint; which one is shows when they are read.

    Args:
        near: The pickles, those first whose names speak for them.
        given: Whether the user names the only one.
    """

    near: tuple[Near, ...] = ()
    given: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Their names within the source; an absolute path for one that is not in it."""
        return tuple(near.name for near in self.near)


class Several(UsageError):
    """Several checkpoints could be meant (2).

    Args:
        label: What holds them.
        names: What each is called, as `--filename` takes it.

    Attributes:
        revision: The commit that they are of, None where it is none of a repository.
    """

    revision: str | None = None

    def __init__(self, label: str, names: Sequence[str]) -> None:
        hint = f"name one of them, for example: --filename {shlex.quote(names[0])}"
        super().__init__(f"{label} holds several checkpoints: {listed(names)}", hint)
        self.names = tuple(names)


def given_statistics(*names: str) -> Statistics:
    """Take the pickles that the user or a port names, or none."""
    return Statistics(tuple(map(Near, names)), given=bool(names))


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
    wanted = PurePosixPath(filename).as_posix()
    unzipped = {key: c for c in layouts.unzipped(files.names) for key in (c.shown, c.name)}
    if wanted in unzipped or wanted in files.names:
        return unzipped.get(wanted, Candidate(wanted))
    below = [other for other in files.names if other.startswith(f"{wanted}/")]
    zipped = f"{wanted}.zip"
    if zipped in files.names and not (layouts.zips(below) or layouts.unzipped(below)):
        return Candidate(zipped)
    if not below:
        raise UsageError(f"{label} has no file {filename}", _that_are_like(wanted, files.names))
    return _choose(files, below, f"{wanted}/{PurePosixPath(wanted).name}.zip", f"{wanted} of {label}")


def _that_are_like(wanted: str, names: Sequence[str]) -> str:
    """Say which files there are, and which may be meant."""
    close = get_close_matches(wanted, [name for name in names if name.endswith(".zip")], n=1)
    return f"it has: {listed(names)}{f'; did you mean {close[0]}?' if close else ''}"


def _choose(files: Files, names: Sequence[str], preferred: str, label: str) -> Candidate:
    zips, unzipped = layouts.zips(names), layouts.unzipped(names)
    if preferred in names:
        return Candidate(preferred)
    if len(zips) == 1 and not layouts.suffixless(names) and all(c.place == zips[0].place for c in unzipped):
        return zips[0]
    kinds = _look(files, zips)
    found = [zip for zip, kind in kinds.items() if kind in (ZipKind.SB3, ZipKind.POINTER)]
    found = found or unzipped or _suffixless(files, names)
    found = found or [zip for zip, kind in kinds.items() if kind is ZipKind.POLICY]
    if not found:
        return _explain_none(kinds, names, label)
    for group in (layouts.with_own_folder(found, names), found):
        if len(group) == 1:
            return group[0]
    if all(kinds.get(candidate) is ZipKind.POINTER for candidate in found):
        return found[0]
    raise Several(label, [candidate.shown for candidate in found])


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
    """List the pickles near a checkpoint that hold a VecNormalize, of which a glance is taken.

    Those that are named for other models are among them only where there is nothing else.
    """
    near = nearby(files.names, checkpoint, files.origin)
    found = _holding(files, [pickle for pickle in near if pickle.relation is not Relation.FOREIGN])
    if any(pickle.relation is Relation.NAMED for pickle in found):
        found = [pickle for pickle in found if pickle.relation < Relation.SIBLING]
    foreign = [pickle for pickle in near if pickle.relation is Relation.FOREIGN]
    return Statistics(tuple(found or _holding(files, foreign[:_MAX_FOREIGN])))


def _holding(files: Files, near: Sequence[Near]) -> list[Near]:
    """Keep the pickles that may hold a VecNormalize; `obs_rms.pkl` only where its folder has no other."""
    found = [pickle for pickle in near[:_MAX_LOOKS] if _may_hold(files, pickle)]
    folders = {_folder(pickle) for pickle in found if not _is_old(pickle)}
    return [pickle for pickle in found if not _is_old(pickle) or _folder(pickle) not in folders][:_MAX_READ]


def _may_hold(files: Files, pickle: Near) -> bool:
    """Whether a pickle may hold one: one beside the checkpoint does if it has a name that tools give."""
    conventional = PurePosixPath(pickle.name).name in (*layouts.STATISTICS, layouts.OLD_STATISTICS)
    if conventional and pickle.distance == 0:
        return True
    beginning = files.head(pickle.name, _HEAD)
    return is_vecnormalize(beginning) or (conventional and _is_like_statistics(beginning))


def _is_like_statistics(beginning: bytes) -> bool:
    """Whether it may be told from the file what it is: a subclass's, statistics alone, or what git leaves."""
    name = str(first_global(beginning)).rpartition(".")[2]
    return name.endswith(("VecNormalize", "RunningMeanStd")) or zip_kind(beginning) is ZipKind.POINTER


def _is_old(pickle: Near) -> bool:
    return PurePosixPath(pickle.name).name == layouts.OLD_STATISTICS


def _folder(pickle: Near) -> str:
    return str(PurePosixPath(pickle.name).parent)


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
