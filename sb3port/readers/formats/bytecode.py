"""A pickled code object taken apart: its instructions in one vocabulary, whichever Python compiled it.

Nothing is compiled or run. A code object does not say of which Python it is: the number of its arguments, its
line table, its RESUME and the cache entries between instructions tell most of them apart, and whoever reads
one tries each that is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.opcodes import BINARY_OP, CACHES, COMPARISONS, NAMES, OPERATORS, VERSIONS
from sb3port.readers.formats.records import Record

Version: TypeAlias = tuple[int, int]

_MAX_BYTES = 20_000
_MAX_ARGUMENT = 2**16
# *args, **kwargs, and everything that yields or awaits.
_OTHER_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200
_RESUMING: Version = (3, 11)
_COUNTS = (
    "kwonly",
    "nlocals",
    "stacksize",
    "flags",
    "code",
    "consts",
    "names",
    "varnames",
    "filename",
    "name",
)
_FREE = ("freevars", "cellvars")
# The arguments of `types.CodeType` by how many there are: until 3.7, 3.8 to 3.10, since 3.11.
_FIELDS_OF = {
    15: ("argcount", *_COUNTS, "firstlineno", "lines", *_FREE),
    16: ("argcount", "posonly", *_COUNTS, "firstlineno", "lines", *_FREE),
    18: ("argcount", "posonly", *_COUNTS, "qualname", "firstlineno", "lines", "exceptions", *_FREE),
}


class NotExpressible(Exception):
    """Code that is more than an expression; the message says what it does."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Args:
        name: What it does, by the name of its opcode, or of the one that others are variants of.
        arg: Its argument, without flags.
        after: Where the next one begins.
        target: Where it jumps to, if it does: always forward.
        word: The operator of BINARY, UNARY and COMPARE.
    """

    name: str
    arg: int
    after: int
    target: int = -1
    word: str = ""


@dataclass(frozen=True)
class Code:
    """What a code object says, by the names of its attributes without `co_`."""

    argcount: int
    kwonly: int
    flags: int
    code: bytes
    consts: tuple[Any, ...]
    names: tuple[str, ...]
    varnames: tuple[str, ...]
    name: str
    lines: bytes
    freevars: tuple[str, ...]
    arity: int

    def versions(self, python: Version | None) -> tuple[Version, ...]:
        """Tell which Pythons can have compiled it.

        Args:
            python: The one that wrote the file, as far as that is known.
        """
        if self.arity == 15:
            return VERSIONS[:2]
        if self.arity == 18:
            return VERSIONS[5:]
        # Only the line table of 3.10 ends where the code does; an old cloudpickle left 3.10's out.
        if sum(self.lines[::2]) == len(self.code):
            return ((3, 10),)
        return VERSIONS[2:5] if python == (3, 10) else VERSIONS[2:4]


def code_of(record: Any) -> Code:
    """Read the arguments of `types.CodeType`.

    Raises:
        NotExpressible: They are of another form, or of a function that is more than a formula.
    """
    args = record.args if isinstance(record, Record) else ()
    if len(args) not in _FIELDS_OF:
        raise NotExpressible("its code is of an unknown form")
    given = dict(zip(_FIELDS_OF[len(args)], args, strict=True))
    kinds = {"argcount": int, "kwonly": int, "flags": int, "code": bytes, "lines": bytes, "consts": tuple}
    if not all(type(given[name]) is kind for name, kind in kinds.items()) or len(given["code"]) > _MAX_BYTES:
        raise NotExpressible("its code is of an unknown form")
    for name in ("names", "varnames", "freevars"):
        if not (isinstance(given[name], tuple) and all(isinstance(item, str) for item in given[name])):
            raise NotExpressible("its code has names of an unknown form")
    if given["flags"] & _OTHER_FLAGS or given["cellvars"] or given.get("exceptions"):
        raise NotExpressible("it takes any arguments, defines functions, yields or catches errors")
    wanted = {name: given[name] for name in Code.__dataclass_fields__ if name in given}
    return Code(**wanted, arity=len(args))


def disassemble(code: Code, version: Version, where: str) -> dict[int, Instruction]:
    """Give the instructions by where they begin.

    Raises:
        NotExpressible: They are not of this Python, or there is one that no formula needs, as of a loop.
    """
    spend(Cost.OPCODES, len(code.code) // 2, where)
    found = dict(_instructions(code, version))
    for offset, instruction in found.items():
        if instruction.target != -1 and (instruction.target <= offset or instruction.target not in found):
            raise NotExpressible("it jumps back, as loops do")
    if version >= _RESUMING and not any(i.name == "RESUME" and i.arg == 0 for i in found.values()):
        raise NotExpressible(f"it is not of Python {version[0]}.{version[1]}")
    return found


def _instructions(code: Code, version: Version) -> Iterator[tuple[int, Instruction]]:
    names, caches, raw = NAMES[version], CACHES.get(version, {}), code.code
    start = offset = high = 0
    while offset + 1 < len(raw):
        name, arg = names.get(raw[offset], ""), raw[offset + 1] | high
        offset += 2
        if not name or arg >= _MAX_ARGUMENT:
            raise NotExpressible("it does what no formula needs")
        if name == "EXTENDED_ARG":
            high = arg << 8
            continue
        after = offset + 2 * caches.get(name, 0)
        if any(raw[offset:after]) or after > len(raw):
            raise NotExpressible(f"it is not of Python {version[0]}.{version[1]}")
        yield start, _normal(name, arg, after, code, version)
        start, offset, high = after, after, 0


_SAME = {
    "LOAD_FAST_CHECK": "LOAD_FAST",
    "LOAD_FAST_BORROW": "LOAD_FAST",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": "LOAD_FAST_LOAD_FAST",
    **dict.fromkeys(("COPY_FREE_VARS", "NOT_TAKEN", "TO_BOOL", "PRECALL"), "NOP"),
    **{
        f"POP_JUMP_FORWARD_IF_{when}": f"POP_JUMP_IF_{when}" for when in ("FALSE", "TRUE", "NONE", "NOT_NONE")
    },
}
_UNARY = {"UNARY_NEGATIVE": "-", "UNARY_POSITIVE": "+", "UNARY_NOT": "not"}
_INTRINSIC_POSITIVE = 5


def _normal(name: str, arg: int, after: int, code: Code, version: Version) -> Instruction:
    """Give an instruction in the one vocabulary."""
    kind, _, operation = name.partition("_")
    if "JUMP" in name:
        return Instruction(_SAME.get(name, name), arg, after, _target(name, arg, after, version))
    if kind in ("BINARY", "INPLACE") or name in ("COMPARE_OP", "IS_OP"):
        return _operation(name, operation, arg, after, version)
    if name == "CALL_INTRINSIC_1":
        name = "UNARY_POSITIVE" if arg == _INTRINSIC_POSITIVE else "CALL_INTRINSIC_1"
    if name in _UNARY:
        return Instruction("UNARY", arg, after, word=_UNARY[name])
    if name == "LOAD_DEREF" and version >= (3, 11):
        return Instruction(name, arg - len(code.varnames), after)
    if (name == "LOAD_GLOBAL" and version >= (3, 11)) or (name == "LOAD_ATTR" and version >= (3, 12)):
        flagged = {"LOAD_GLOBAL": "LOAD_GLOBAL_NULL", "LOAD_ATTR": "LOAD_METHOD"}[name]
        return Instruction(flagged if arg & 1 else name, arg >> 1, after)
    return Instruction(_SAME.get(name, name), arg, after)


def _operation(name: str, operation: str, arg: int, after: int, version: Version) -> Instruction:
    if name == "IS_OP":
        return Instruction("COMPARE", arg, after, word="is not" if arg else "is")
    if name == "COMPARE_OP":
        # Since 3.12 lower bits say which results are meant, and that a truth value is wanted.
        index = arg >> {12: 4, 13: 5, 14: 5}.get(version[1], 0)
        return Instruction("COMPARE", arg, after, word=_item(COMPARISONS, index))
    if name == "BINARY_OP":
        return Instruction("BINARY", arg, after, word=_item(BINARY_OP * 2, arg))
    return Instruction("BINARY", arg, after, word=OPERATORS[operation])


def _item(words: tuple[str, ...], index: int) -> str:
    if index >= len(words):
        raise NotExpressible("it does what no formula needs")
    return words[index]


def _target(name: str, arg: int, after: int, version: Version) -> int:
    """Tell where a jump goes: bytes until 3.9, instructions since; from the beginning but for 3.11 on."""
    units = 2 if version >= (3, 10) else 1
    absolute = name != "JUMP_FORWARD" and version < (3, 11)
    return units * arg + (0 if absolute else after)
