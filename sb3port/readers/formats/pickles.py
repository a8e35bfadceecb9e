"""A symbolic pickle reader: it says what a pickle would build, and builds none of it.

Opcodes are decoded by the standard library's `pickletools`; the small stack machine here runs them on inert
records instead of objects. No global is ever resolved and nothing is ever called, so a hostile pickle can do
no more than be refused. What the records mean is for other modules to say, each for the few classes it knows.
"""

import pickletools
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from sb3port.errors import MalformedPickle, NotPortable
from sb3port.files.budget import metered
from sb3port.readers.formats.audit import refuse_dangerous
from sb3port.readers.formats.machine import HANDLERS, Machine
from sb3port.readers.formats.passing_over import as_file
from sb3port.readers.formats.records import CALLED, Global, PersistentId
from sb3port.readers.formats.remembering import recalled
from sb3port.readers.formats.zips import has_prefix, open_zip, read_member

# How a file begins that torch wrote before 1.6, a row of five pickles of which this is the first.
TORCH_MAGIC = b"\x80\x02\x8a\n" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little") + b"."
TORCH_ROW = 5
"""How many pickles torch wrote in a row before 1.6."""
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError)


@dataclass(frozen=True)
class Pickle:
    """A pickle that has been read.

    Args:
        value: Plain Python values, with `Global`, `Record` and `PersistentId` for everything else.
        imports: Every global that the pickle names.
        references: Every reference to something outside of it, torch storages above all.
        codes: How many parts the code of each function in it has, by which Pythons can build it.
    """

    value: Any
    imports: frozenset[Global]
    references: tuple[PersistentId, ...] = ()
    codes: frozenset[int] = frozenset()


@metered
def read_pickle(data: bytes | BinaryIO, where: str) -> Pickle:
    """Read a pickle symbolically.

    Args:
        data: The pickle, of any protocol; a stream is left where the pickle ends.
        where: What to call it in an error message.

    Raises:
        MalformedPickle: It ends early, or is no pickle.
        NotPortable: It is more than what is left of the budget.
        Unsafe: It names something that no honest checkpoint does, before it ends or breaks off.
    """
    machine, value, broken = _run(data, where)
    refuse_dangerous(machine.imports, where)
    imports = _with_nested(machine)
    refuse_dangerous(imports, where)
    if isinstance(broken, NotPortable):
        raise broken
    if broken is not None:
        reason = str(broken) or type(broken).__name__
        raise MalformedPickle(f"{where} is not a whole pickle: {reason[:200]}") from broken
    return Pickle(value, imports, tuple(machine.references), frozenset(machine.codes))


def read_again(data: bytes, where: str) -> Pickle:
    """Read a pickle as `read_pickle`, or remember what came of the same bytes, where that is wanted.

    It is not for pickles that refer to something outside of them, which may be another thing the next time.
    """
    return recalled("pickle", data, lambda: read_pickle(data, where), lambda found: not found.references)


@metered
def names_in(data: bytes | BinaryIO, where: str) -> frozenset[Global]:
    """Give every global that a pickle names, dangerous ones among them, also where it is damaged.

    Raises:
        NotPortable: It is more than what is left of the budget.
    """
    return listed_in(data, where)[0]


def listed_in(data: bytes | BinaryIO, where: str) -> tuple[frozenset[Global], str]:
    """Give every global that a pickle names, and why it is damaged; that is empty for a whole one.

    Raises:
        NotPortable: It is more than what is left of the budget.
    """
    machine, _, broken = _run(data, where)
    if isinstance(broken, NotPortable):
        raise broken
    return _with_nested(machine), "" if broken is None else str(broken)[:200] or type(broken).__name__


def _run(data: bytes | BinaryIO, where: str) -> tuple[Machine, Any, Exception | None]:
    """Run a pickle to its end, or to where it breaks off."""
    machine = Machine(where)
    try:
        return machine, machine.run(data), None
    except (NotPortable, *_BROKEN) as error:
        return machine, None, error


def _with_nested(machine: Machine) -> frozenset[Global]:
    """Give what a pickle names, and what the pickles in it do that it would have torch load."""
    imports = set(machine.imports)
    for raw in machine.nested:
        for data in pickles_of_torch(raw, machine.where):
            inner, _, broken = _run(data, f"{machine.where}, a tensor in it")
            imports |= inner.imports
            if inner.nested or broken is not None:  # no tensor of torch's is like that
                imports.add(CALLED)
    return frozenset(imports)


def pickles_of_torch(raw: bytes, where: str) -> list[bytes | BinaryIO]:
    """Give the pickles of a file of torch's, of either format.

    Raises:
        NotPortable: It is none, so that nobody can tell what is in it.
    """
    stream = as_file(raw)
    beginning = stream.read(len(TORCH_MAGIC))
    stream.seek(0)
    if beginning == TORCH_MAGIC:
        return [stream] * TORCH_ROW
    with open_zip(stream, f"{where}, a tensor in it") as archive:
        if has_prefix(stream):
            raise NotPortable(f"{where} has a tensor in it of which Python and torch read different members")
        names = [name for name in archive.namelist() if name.endswith(".pkl")]
        return [read_member(archive, name, where) for name in names]


def first_global(beginning: bytes) -> Global | None:
    """Give the first global that a pickle names, of which only the beginning need be there."""
    machine = Machine("its beginning")
    with suppress(*_BROKEN):
        for opcode, arg, _ in pickletools.genops(beginning):
            HANDLERS[opcode.name](machine, arg)
            if machine.imports:
                return machine.imports.pop()
    return None
