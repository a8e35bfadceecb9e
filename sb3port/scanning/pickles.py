"""Every name in a pickle of any size: arrays in it are passed over, and what is damaged is swept.

That is how a replay buffer of gigabytes can be scanned, and a pickle that no stack machine can follow.
"""

import pickletools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from sb3port.errors import NotPortable
from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.passing_over import passing_over
from sb3port.readers.formats.pickles import TORCH_ROW, listed_in
from sb3port.readers.formats.records import Global

MAGIC = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
"""How pickles of protocol 2 and newer begin."""
_BLOCK = 250
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError, NotPortable)
_STRINGS = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})


@dataclass(frozen=True)
class Listed:
    """The names in a file of pickles.

    Args:
        names: All of them, as far as the file can be read.
        broken: Why a pickle ends early; empty if all of a row are whole.
    """

    names: frozenset[Global]
    broken: str = ""


def list_names(file: BinaryIO, where: str) -> Listed:
    """List the names in a file of pickles, of which `pickle.load` reads the first, and torch five.

    Args:
        file: At its beginning; it can be sought in.
        where: What to call it in messages.

    Raises:
        NotPortable: It is more than what is left of the budget.
    """
    stream = passing_over(file)
    names, broken = listed_in(stream, where)
    for _ in range(1, TORCH_ROW):  # what comes after them are weights
        if broken or not _has_more(file):
            break
        more, broken = listed_in(stream, where)
        names |= more
    if broken:
        file.seek(0)
        names |= frozenset(_swept(passing_over(file), where))
    return Listed(names, broken)


def _has_more(file: BinaryIO) -> bool:
    place = file.tell()
    more = file.read(1)
    file.seek(place)
    return bool(more)


def _swept(file: BinaryIO, where: str) -> Iterator[Global]:
    """Give the names in pickles that the stack machine cannot follow, by their opcodes alone.

    What STACK_GLOBAL takes from the stack is guessed: the two texts that were pushed, or fetched, last.
    """
    for _ in range(TORCH_ROW):
        with suppress(*_BROKEN):
            yield from _swept_one(file, where)


def _swept_one(file: BinaryIO, where: str) -> Iterator[Global]:
    texts: list[str] = []
    memo: dict[int, str] = {}
    for count, (opcode, arg, _) in enumerate(pickletools.genops(file)):
        if count % _BLOCK == 0:
            spend(Cost.OPCODES, _BLOCK, where)
        if opcode.name in ("GLOBAL", "INST"):
            yield Global(*str(arg).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL":
            yield from (Global(*texts[-2:]) for _ in texts[1:2])
        elif "UNICODE" in opcode.name or opcode.name in _STRINGS:
            texts = [*texts[-1:], str(arg)]
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE") and texts:
            memo[len(memo) if arg is None else int(str(arg))] = texts[-1]
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET") and int(str(arg)) in memo:
            texts = [*texts[-1:], memo[int(str(arg))]]
