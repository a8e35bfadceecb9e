"""A symbolic pickle reader: it says what a pickle would build, and builds none of it.

Opcodes are decoded by the standard library's `pickletools`; the small stack machine here runs them on inert
records instead of objects. No global is ever resolved and nothing is ever called, so a hostile pickle can do
no more than be refused. What the records mean is for other modules to say, each for the few classes it knows.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sb3port.errors import MalformedPickle

MAX_OPCODES = 5_000_000
MAX_DEPTH = 200


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names, never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Record:
    """What the pickle would have built by `target(*args)`.

    Args:
        target: A `Global`, or another record where the pickle calls what it built.
        states: Arguments of `__setstate__`, in order.
        items: What the pickle would have appended to or added to it.
        pairs: Key and value of every item the pickle would have set on it.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    states: list[Any] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)

    def calls(self, *names: str) -> bool:
        """Whether the target is a global of one of these dotted names."""
        return isinstance(self.target, Global) and str(self.target) in names

    @property
    def attributes(self) -> dict[str, Any]:
        """The instance dictionary that the state would have set, empty where there is none."""
        state = self.states[-1] if self.states else {}
        state = state[0] if isinstance(state, tuple) and len(state) == 2 else state
        return state if isinstance(state, dict) else {}


@dataclass(frozen=True)
class PersistentId:
    """A reference to something outside the pickle, such as a torch storage."""

    value: Any


@dataclass(frozen=True)
class Pickle:
    """A pickle that has been read.

    Args:
        value: Plain Python values, with `Global`, `Record` and `PersistentId` for everything else.
        imports: Every global that the pickle names.
    """

    value: Any
    imports: frozenset[Global]


def read_pickle(data: bytes, where: str) -> Pickle:
    """Read a pickle symbolically.

    Args:
        data: The pickle, of any protocol.
        where: What to call it in an error message.

    Raises:
        MalformedPickle: It ends early, is no pickle, or is longer than any honest one.
    """
    machine = _Machine()
    try:
        value = machine.run(data)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, EOFError) as error:
        reason = str(error) or type(error).__name__
        raise MalformedPickle(f"{where} is not a whole pickle: {reason[:200]}") from error
    return Pickle(value, frozenset(machine.imports))


class _Mark:
    """The pickle machine's mark object."""


_MARK = _Mark()


class _Machine:
    """The stack machine of `pickle.Unpickler`, with records in place of objects."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.imports: set[Global] = set()

    def run(self, data: bytes) -> Any:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(data)):
            if count > MAX_OPCODES:
                raise ValueError(f"more than {MAX_OPCODES} opcodes")
            if opcode.name == "STOP":
                return self.stack.pop()
            _HANDLERS[opcode.name](self, arg)
        raise ValueError("no STOP opcode")

    def to_mark(self) -> list[Any]:
        """Pop everything above the last mark, and the mark."""
        start = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def find(self, module: str, name: str) -> Global:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a global's name is not a string")
        found = Global(module, name)
        self.imports.add(found)
        return found

    def append(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, Record):
            target.items.extend(items)
        elif isinstance(target, set):
            target.update(_checked_key(item) for item in items)
        else:
            target.extend(items)

    def set_items(self, target: Any, flat: list[Any]) -> None:
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        if isinstance(target, Record):
            target.pairs.extend(pairs)
        else:
            target.update((_checked_key(key), value) for key, value in pairs)

    def build(self) -> None:
        state = self.stack.pop()
        self.stack[-1].states.append(state)

    def pop(self) -> None:
        """Drop the top of the stack; a call that is dropped sets the state of its first argument.

        That is how `copyreg`'s sixth reduce element, the state setter, is written: the setter is called for
        its effect on the object below it.
        """
        top = self.stack.pop()
        if isinstance(top, Record) and len(top.args) == 2 and isinstance(top.args[0], Record):
            top.args[0].states.append(top.args[1])

    def reduce(self) -> None:
        args = self.stack.pop()
        self.push_record(self.stack.pop(), args)

    def push_record(self, target: Any, args: Any, kwargs: Any = None) -> None:
        if not isinstance(args, tuple) or not isinstance(target, Global | Record):
            raise TypeError("a call without arguments or of something that cannot be called")
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

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.find(module, name))


def _checked_key(key: Any) -> Any:
    """Refuse keys whose hash is costly: a tuple of tuples can take exponential time to hash."""
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, str | bytes | int | float | Global | Record | None) for part in parts):
        raise TypeError(f"a {type(key).__name__} as a key")
    return key


type _Handler = Callable[[_Machine, Any], Any]


def _pushing(make: Callable[[_Machine], Any]) -> _Handler:
    return lambda machine, _: machine.stack.append(make(machine))


def _push_arg(machine: _Machine, arg: Any) -> None:
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


def _dict_from(flat: list[Any]) -> dict[Any, Any]:
    return {_checked_key(key): value for key, value in zip(flat[::2], flat[1::2], strict=True)}


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
    "MARK": _pushing(lambda _: _MARK),
    "EMPTY_TUPLE": _pushing(lambda _: ()),
    "EMPTY_LIST": _pushing(lambda _: []),
    "EMPTY_DICT": _pushing(lambda _: {}),
    "EMPTY_SET": _pushing(lambda _: set()),
    "TUPLE": _pushing(lambda m: tuple(m.to_mark())),
    "LIST": _pushing(lambda m: m.to_mark()),
    "DICT": _pushing(lambda m: _dict_from(m.to_mark())),
    "FROZENSET": _pushing(lambda m: frozenset(_checked_key(item) for item in m.to_mark())),
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
    "PERSID": lambda m, arg: m.stack.append(PersistentId(arg)),
    "BINPERSID": _pushing(lambda m: PersistentId(m.stack.pop())),
}
