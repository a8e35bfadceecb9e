"""The source that a port records, on this machine: only ever read if it is the one that was ported.

A stranger's port can name any place, such as a device without an end or a private file. So no more is done
there than to look for files of the recorded sizes; those are hashed, and only where every SHA-256 is the
recorded one, the port was made from what lies there.
"""

from itertools import takewhile
from pathlib import Path, PurePosixPath

from sb3port.checkpoint.checkpoint import Provenance, SourceFile
from sb3port.errors import NotPortable, UsageError
from sb3port.files.budget import metered
from sb3port.files.untrusted import refuse_outside, sha256_of
from sb3port.readers.places.layouts import MEMBERS, Candidate
from sb3port.readers.places.nearby import UP
from sb3port.readers.places.pairing import Statistics, choose_statistics, given_statistics
from sb3port.readers.places.source import Source, is_within
from sb3port.readers.places.source_files import surroundings, within

# These files only tell how a policy was trained; what a port computes depends on all others.
TELLING = ("config", "args", "env_kwargs")


class OtherSource(UsageError):
    """What lies at the recorded place is not what was ported (2).

    Args:
        names: The files that are not those.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(f"this is not the source of the port: {missing(names)}")


def missing(names: list[str]) -> str:
    """Say which files are not those that were ported, empty where all are."""
    return f"{', '.join(names)} with the recorded SHA-256 not found" if names else ""


@metered
def recorded_source(recorded: Provenance) -> Source:
    """Find the source of a port on this machine, where the port was made.

    Args:
        recorded: What the port says; of the kinds "file" and "folder".

    Raises:
        UsageError: There is nothing of this name, or the name is no place of this machine.
        OtherSource: What is there is something else.
        Unsafe: A link leads out of there.
    """
    place = _place(recorded)
    root = place.parent if recorded.kind == "file" else place
    files = recorded.files
    others = [file.name for role, file in files.items() if role not in TELLING and not _is_there(root, file)]
    if others:
        raise OtherSource(others)
    checkpoint = _candidate(recorded)
    reference = root / checkpoint.place.parent / "reference.npz"
    return Source(
        label=recorded.location,
        kind=recorded.kind,
        location=recorded.location,
        revision=None,
        root=root,
        checkpoint=checkpoint,
        statistics=_statistics(recorded, checkpoint, root),
        reference=reference if is_within(reference, root) else None,
        settings=tuple(
            file.name for role, file in files.items() if role in TELLING and _is_there(root, file)
        ),
    )


def is_where_recorded(recorded: Provenance) -> bool:
    """Whether the source of a port still lies on this machine, where the port says."""
    try:
        recorded_source(recorded)
    except (UsageError, NotPortable):
        return False
    return True


def _place(recorded: Provenance) -> Path:
    place = Path(recorded.location)
    if not place.is_absolute() or ".." in place.parts or place.drive.startswith("\\\\"):
        raise UsageError(f"the source is recorded as {recorded.location[:500]}, no place on this machine")
    if not (place.is_file() if recorded.kind == "file" else place.is_dir()):
        raise UsageError(f"there is no {recorded.kind} {recorded.location[:500]}")
    return place


def _is_there(root: Path, file: SourceFile) -> bool:
    """Whether a file is there with the recorded size and content.

    Statistics that the user named by a path of their own are recorded by that path.
    """
    path = root / file.name
    if _strays(file.name) or not path.is_file() or path.stat().st_size != file.size:
        return False
    if not Path(file.name).is_absolute():
        refuse_outside(path, within(root, file.name), file.name)
    return sha256_of(path, file.name) == file.sha256


def _strays(name: str) -> bool:
    """Whether a name leads further up than files are looked for, or up and down again."""
    parts = PurePosixPath(name).parts
    leading = len(list(takewhile(lambda part: part == "..", parts)))
    return leading > UP + 1 or ".." in parts[leading:]


def _candidate(recorded: Provenance) -> Candidate:
    files = recorded.files
    members = {role: file.name for role, file in files.items() if role in MEMBERS}
    name = PurePosixPath(files["checkpoint"].name).as_posix()
    return Candidate(name, {"data": name, **members} if members else {})


def _statistics(recorded: Provenance, checkpoint: Candidate, root: Path) -> Statistics:
    """Give the recorded statistics; where the user left some out, those that are there."""
    if recorded.no_stats:
        return choose_statistics(surroundings(root, checkpoint), checkpoint)
    found = recorded.files.get("statistics")
    return given_statistics(found.name) if found else Statistics()
