"""The stack machine of the symbolic pickle reader: what each opcode does to records in place of objects."""

import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TypeAlias

from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.calls import is_code, is_module, named_by, reached_by
from sb3port.readers.formats.groups import NESTED
from sb3port.readers.formats.operations import operations
from sb3port.readers.formats.records import CALLED, Global, PersistentId, Record, checked_key

# No integer in an honest pickle has more than 128 bits, and few of its keys are numbers.
MAX_INTEGER_BITS = 1000
MAX_NUMBER_KEYS = 10_000
# How many opcodes are charged at once, and from how many bytes on an argument is.
_BLOCK = 250
_LARGE = 4096


class Machine:
    """The stack machine of `pickle.Unpickler`, with records in place of objects.

    Attributes:
        imports: Every global that the pickle names so far, what it reaches by calls among them.
        references: Every reference to something outside of it.
        nested: Pickles within it that it would load.
        codes: How many parts the code of each function in it has, which is 15, 16 or 18 by the Python.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.number_keys = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.imports: set[Global] = set()
        self.references: list[PersistentId] = []
        self.nested: list[bytes] = []
        self.codes: set[int] = set()

    def run(self, data: bytes | BinaryIO) -> Any:
        """Read a whole pickle, and give what it would build."""
        for count, (name, arg) in enumerate(operations(data)):
            if count % _BLOCK == 0:
                spend(Cost.OPCODES, _BLOCK, self.where)
            if name == "STOP":
                return self.stack.pop()
            HANDLERS[name](self, arg)
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
        """Note a global by its name."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a global's name is not a string")
        spend(Cost.CHARACTERS, len(module) + len(name), self.where)
        found = Global(module, name)
        self.imports.add(found)
        return found

    def append(self, target: Any, items: list[Any]) -> None:
        """Add items to a list, a set or a record."""
        if isinstance(target, Record):
            target.items.extend(items)
        elif isinstance(target, set):
            target.update(self.key(item) for item in items)
        else:
            target.extend(items)

    def set_items(self, target: Any, flat: list[Any]) -> None:
        """Set keys and values, in turn, of a dictionary or a record."""
        pairs = [(self.key(key), value) for key, value in zip(flat[::2], flat[1::2], strict=True)]
        if isinstance(target, Record):
            target.pairs.extend(pairs)
        else:
            target.update(pairs)

    def build(self) -> None:
        """Note the state of the object below it; one set on a module would change that module."""
        state = self.stack.pop()
        if is_module(self.stack[-1]):
            self.imports.add(CALLED)
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
        """Note a call of what is below its arguments."""
        args = self.stack.pop()
        self.push_record(self.stack.pop(), args)

    def push_record(self, target: Any, args: Any, kwargs: Any = None) -> None:
        """Push the record of a call, and note what it names."""
        if not isinstance(args, tuple) or not isinstance(target, Global | Record):
            raise TypeError("a call without arguments or of something that cannot be called")
        reached = reached_by(target, args)
        for name in named_by(target, args, reached):
            self.find(name.module, name.name)
        if is_code(target):
            self.codes.add(len(args))
        if target == NESTED:
            self.nest(args)
        spend(Cost.OPCODES, len(args) // 20, self.where)
        self.stack.append(Record(target, args, dict(kwargs or {}), reached=reached))

    def nest(self, args: tuple[Any, ...]) -> None:
        """Note the pickle that torch would load from bytes; bytes that are no literal are put together."""
        for arg in args:
            if isinstance(arg, bytes | bytearray):
                self.nested.append(arg if isinstance(arg, bytes) else bytes(arg))
            elif isinstance(arg, Record) and arg.calls("_codecs.encode") and isinstance(arg.args[0], str):
                self.nested.append(arg.args[0].encode("latin1", errors="replace"))
            else:
                self.imports.add(CALLED)

    def new_object_ex(self) -> None:
        """Note a call with keyword arguments."""
        kwargs, args, target = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.push_record(target, args, kwargs)

    def instance(self, arg: str) -> None:
        """Note the call of INST, which names what it calls itself."""
        module, _, name = arg.partition(" ")
        self.push_record(self.find(module, name), tuple(self.to_mark()))

    def object(self) -> None:
        """Note the call of OBJ, whose target is the first above the mark."""
        target, *args = self.to_mark()
        self.push_record(target, tuple(args))

    def refer(self, value: Any) -> None:
        """Push a reference to something outside of the pickle.

        torch before 1.6 writes the class of a module with its source text so, of which the class matters.
        """
        match value:
            case ("module", Global() as cls, _, _):
                self.stack.append(cls)
                return
        reference = PersistentId(value)
        self.references.append(reference)
        self.stack.append(reference)

    def stack_global(self) -> None:
        """Push a global whose names are on the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.find(module, name))


_STATE_SETTERS = tuple(
    f"cloudpickle.{module}._{kind}_setstate"
    for module in ("cloudpickle", "cloudpickle_fast")
    for kind in ("function", "class")
)

_Handler: TypeAlias = Callable[[Machine, Any], Any]


def _pushing(make: Callable[[Machine], Any]) -> _Handler:
    def handler(machine: Machine, _: Any) -> None:
        made = make(machine)  # which may change what the machine's stack is
        machine.stack.append(made)

    return handler


def _push_arg(machine: Machine, arg: Any) -> None:
    if isinstance(arg, int) and arg.bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"an integer of {arg.bit_length()} bits")
    if isinstance(arg, str | bytes | bytearray) and len(arg) > _LARGE:
        spend(Cost.MEMORY, sys.getsizeof(arg), machine.where)
    machine.stack.append(arg)


def _pop_tuple(length: int) -> _Handler:
    def handler(machine: Machine, _: Any) -> None:
        items = tuple(machine.stack[len(machine.stack) - length :])
        if len(items) != length:
            raise IndexError("stack underflow")
        del machine.stack[len(machine.stack) - length :]
        machine.stack.append(items)

    return handler


def _put(machine: Machine, arg: Any) -> None:
    machine.memo[int(arg)] = machine.stack[-1]


def _append_one(machine: Machine, _: Any) -> None:
    item = machine.stack.pop()
    machine.append(machine.stack[-1], [item])


def _append_many(machine: Machine, _: Any) -> None:
    items = machine.to_mark()
    machine.append(machine.stack[-1], items)


def _set_one(machine: Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items(machine.stack[-1], [key, value])


def _set_many(machine: Machine, _: Any) -> None:
    flat = machine.to_mark()
    machine.set_items(machine.stack[-1], flat)


def _dict(machine: Machine, _: Any) -> None:
    flat = machine.to_mark()
    machine.stack.append({})
    machine.set_items(machine.stack[-1], flat)


def _nothing(machine: Machine, arg: Any) -> None:
    """PROTO and FRAME say nothing about the value."""


_LITERALS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8"
)

HANDLERS: dict[str, _Handler] = {
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
