"""A symbolic pickle reader: it says what a pickle would build, and builds none of it.

Opcodes are decoded by the standard library's `pickletools`; the small stack machine here runs them on inert
records instead of objects. No global is ever resolved and nothing is ever called, so a hostile pickle can do
no more than be refused. What the records mean is for other modules to say, each for the few classes it knows.
"""

import pickletools
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

from sb3port.errors import MalformedPickle, NotPortable
from sb3port.files.budget import Cost, metered, spend
from sb3port.readers.formats.audit import refuse_dangerous
from sb3port.readers.formats.records import OWN_CODE, Global, PersistentId, Record, checked_key

# No integer in an honest pickle has more than 128 bits, and few of its keys are numbers.
MAX_INTEGER_BITS = 1000
MAX_NUMBER_KEYS = 10_000
# How many opcodes are charged at once, and from how many bytes on an argument is.
_BLOCK = 250
_LARGE = 4096


@dataclass(frozen=True)
class Pickle:
    """A pickle that has been read.

    Args:
        value: Plain Python values, with `Global`, `Record` and `PersistentId` for everything else.
        imports: Every global that the pickle names.
        references: Every reference to something outside of it, torch storages above all.
    """

    value: Any
    imports: frozenset[Global]
    references: tuple[PersistentId, ...] = ()


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
    machine = _Machine(where)
    try:
        value = machine.run(data)
    except NotPortable:
        refuse_dangerous(machine.imports, where)
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError) as error:
        refuse_dangerous(machine.imports, where)
        reason = str(error) or type(error).__name__
        raise MalformedPickle(f"{where} is not a whole pickle: {reason[:200]}") from error
    refuse_dangerous(machine.imports, where)
    return Pickle(value, frozenset(machine.imports), tuple(machine.references))


def first_global(beginning: bytes) -> Global | None:
    """Give the first global that a pickle names, of which only the beginning need be there."""
    machine = _Machine("its beginning")
    with suppress(ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError):
        for opcode, arg, _ in pickletools.genops(beginning):
            _HANDLERS[opcode.name](machine, arg)
            if machine.imports:
                return machine.imports.pop()
    return None


class _Machine:
    """The stack machine of `pickle.Unpickler`, with records in place of objects."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.number_keys = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.imports: set[Global] = set()
        self.references: list[PersistentId] = []

    def run(self, data: bytes | BinaryIO) -> Any:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(data)):
            if count % _BLOCK == 0:
                spend(Cost.OPCODES, _BLOCK, self.where)
            if opcode.name == "STOP":
                return self.stack.pop()
            _HANDLERS[opcode.name](self, arg)
        raise ValueError("no STOP opcode")

    def mark(self) -> None:
        """Begin a stack of its own for what follows, as `pickle._Unpickler` does."""
        self.below.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        """Pop everything above the last mark, and the mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def key(self, key: Any) -> Any:
        """Check a key; numbers are counted because many can be made to collide."""
        self.number_keys += not isinstance(key, str | bytes)
        if self.number_keys > MAX_NUMBER_KEYS:
            raise ValueError(f"more than {MAX_NUMBER_KEYS} keys that are no strings")
        return checked_key(key)

    def find(self, module: str, name: str) -> Global:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a global's name is not a string")
        spend(Cost.CHARACTERS, len(module) + len(name), self.where)
        found = Global(module, name)
        self.imports.add(found)
        return found

    def append(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Record):
            target.items.extend(items)
        elif isinstance(target, set):
            target.update(self.key(item) for item in items)
        else:
            target.extend(items)

    def set_items(self, target: Any, flat: list[Any]) -> None:
        pairs = [(self.key(key), value) for key, value in zip(flat[::2], flat[1::2], strict=True)]
        if isinstance(target, Record):
            target.pairs.extend(pairs)
        else:
            target.update(pairs)

    def build(self) -> None:
        state = self.stack.pop()
        self.stack[-1].states.append(state)

    def pop(self) -> None:
        """Drop the top of the stack; a setter's call that is dropped has set its first argument's state.

        That is how `copyreg`'s sixth reduce element, the state setter, is written: the setter is called for
        its effect on the object below it.
        """
        top = self.stack.pop() if self.stack else self.to_mark()
        if isinstance(top, Record) and len(top.args) == 2 and top.calls(*_STATE_SETTERS):
            top.args[0].states.append(top.args[1])

    def reduce(self) -> None:
        args = self.stack.pop()
        self.push_record(self.stack.pop(), args)

    def push_record(self, target: Any, args: Any, kwargs: Any = None) -> None:
        if not isinstance(args, tuple) or not isinstance(target, Global | Record):
            raise TypeError("a call without arguments or of something that cannot be called")
        if isinstance(target, Record) and not target.calls(_BUILTIN_TYPE):
            self.imports.add(OWN_CODE)
        elif isinstance(target, Global) and target.name in _IMPORTERS and len(args) == 1:
            self.find(args[0], "*")
        self.stack.append(Record(target, args, dict(kwargs or {})))

    def new_object_ex(self) -> None:
        kwargs, args, target = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.push_record(target, args, kwargs)

    def instance(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.push_record(self.find(module, name), tuple(self.to_mark()))

    def object(self) -> None:
        target, *args = self.to_mark()
        self.push_record(target, tuple(args))

    def refer(self, value: Any) -> None:
        reference = PersistentId(value)
        self.references.append(reference)
        self.stack.append(reference)

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.find(module, name))


# Gives `types.CodeType` and the like, which build code but do not run it.
_BUILTIN_TYPE = "cloudpickle.cloudpickle._builtin_type"
_IMPORTERS = ("subimport", "import_module", "__import__")
_STATE_SETTERS = tuple(
    f"cloudpickle.{module}._{kind}_setstate"
    for module in ("cloudpickle", "cloudpickle_fast")
    for kind in ("function", "class")
)

_Handler: TypeAlias = Callable[[_Machine, Any], Any]


def _pushing(make: Callable[[_Machine], Any]) -> _Handler:
    def handler(machine: _Machine, _: Any) -> None:
        made = make(machine)  # which may change what the machine's stack is
        machine.stack.append(made)

    return handler


def _push_arg(machine: _Machine, arg: Any) -> None:
    if isinstance(arg, int) and arg.bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"an integer of {arg.bit_length()} bits")
    if isinstance(arg, str | bytes | bytearray) and len(arg) > _LARGE:
        spend(Cost.MEMORY, sys.getsizeof(arg), machine.where)
    machine.stack.append(arg)


def _pop_tuple(length: int) -> _Handler:
    def handler(machine: _Machine, _: Any) -> None:
        items = tuple(machine.stack[len(machine.stack) - length :])
        if len(items) != length:
            raise IndexError("stack underflow")
        del machine.stack[len(machine.stack) - length :]
        machine.stack.append(items)

    return handler


def _put(machine: _Machine, arg: Any) -> None:
    machine.memo[int(arg)] = machine.stack[-1]


def _append_one(machine: _Machine, _: Any) -> None:
    item = machine.stack.pop()
    machine.append(machine.stack[-1], [item])


def _append_many(machine: _Machine, _: Any) -> None:
    items = machine.to_mark()
    machine.append(machine.stack[-1], items)


def _set_one(machine: _Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


def _set_many(machine: _Machine, _: Any) -> None:
    flat = machine.to_mark()
    machine.set_items(machine.stack[-1], flat)


def _dict(machine: _Machine, _: Any) -> None:
    flat = machine.to_mark()
    machine.stack.append({})
    machine.set_items(machine.stack[-1], flat)


def _nothing(machine: _Machine, arg: Any) -> None:
    """PROTO and FRAME say nothing about the value."""


_LITERALS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8"
)

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(_LITERALS.split(), _push_arg),
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, arg: m.stack.append(m.memo[int(arg)])),
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "NONE": _pushing(lambda _: None),
    "NEWTRUE": _pushing(lambda _: True),
    "NEWFALSE": _pushing(lambda _: False),
    "MARK": lambda m, _: m.mark(),
    "EMPTY_TUPLE": _pushing(lambda _: ()),
    "EMPTY_LIST": _pushing(lambda _: []),
    "EMPTY_DICT": _pushing(lambda _: {}),
    "EMPTY_SET": _pushing(lambda _: set()),
    "TUPLE": _pushing(lambda m: tuple(m.to_mark())),
    "LIST": _pushing(lambda m: m.to_mark()),
    "DICT": _dict,
    "FROZENSET": _pushing(lambda m: frozenset(m.key(item) for item in m.to_mark())),
    "TUPLE1": _pop_tuple(1),
    "TUPLE2": _pop_tuple(2),
    "TUPLE3": _pop_tuple(3),
    "DUP": _pushing(lambda m: m.stack[-1]),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.to_mark(),
    "APPEND": _append_one,
    "APPENDS": _append_many,
    "ADDITEMS": _append_many,
    "SETITEM": _set_one,
    "SETITEMS": _set_many,
    "GLOBAL": lambda m, arg: m.stack.append(m.find(*arg.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m.stack_global(),
    "INST": lambda m, arg: m.instance(arg),
    "OBJ": lambda m, _: m.object(),
    "REDUCE": lambda m, _: m.reduce(),
    "NEWOBJ": lambda m, _: m.reduce(),
    "NEWOBJ_EX": lambda m, _: m.new_object_ex(),
    "BUILD": lambda m, _: m.build(),
    "PERSID": lambda m, arg: m.refer(arg),
    "BINPERSID": lambda m, _: m.refer(m.stack.pop()),
}
