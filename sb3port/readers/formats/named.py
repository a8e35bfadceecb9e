"""Every name in every pickle of an SB3 zip, each with its group: dangerous ones are told, not refused."""

from collections.abc import Iterator
from dataclasses import dataclass

from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.groups import Group, group_of
from sb3port.readers.formats.pickles import names_in, pickles_of_torch
from sb3port.readers.formats.records import Global


@dataclass(frozen=True)
class Named:
    """A name in a pickle.

    Args:
        member: The member of the zip, such as "data" or "policy.pth".
        field: The setting in `data`; empty in the other members.
        name: What it names, or reaches by a call.
        group: What that means for whoever loads the file with SB3.
    """

    member: str
    field: str
    name: Global
    group: Group


def named_globals(archive: Archive) -> list[Named]:
    """Give every name in every pickle of a zip, sorted; those of damaged pickles as far as they go.

    Raises:
        NotPortable: A member is no pickle at all, or it is all more than what is left of the budget.
    """
    found = [
        Named(member, field, name, group_of(name))
        for member, field, names in _pickles(archive)
        for name in sorted(names, key=str)
    ]
    return sorted(set(found), key=lambda named: (named.member, named.field, str(named.name)))


def _pickles(archive: Archive) -> Iterator[tuple[str, str, frozenset[Global]]]:
    for key in filter(archive.is_pickled, archive.data):
        yield "data", key, names_in(archive.pickled(key), archive.where(key))
    for member in (name for name in archive.members if name.endswith(".pth")):
        where = f"{archive.name}: {member}"
        for data in pickles_of_torch(archive.members[member], where):
            yield member, "", names_in(data, where)
