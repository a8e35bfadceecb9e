"""A pickled function followed symbolically: which expression in its argument does it return?

Every instruction of CPython's is followed on numbers and on expressions (see `algebra`). Where the progress
decides a jump, both ways are followed. Functions that are called are followed likewise; nothing is ever run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.bytecode import Code, Instruction, NotExpressible, Version, disassemble
from sb3port.readers.formats.records import Record, describe
from sb3port.readers.meaning.formulas import algebra
from sb3port.readers.meaning.formulas.algebra import Quantity, Symbol, quantity
from sb3port.readers.meaning.formulas.functions import Function, Named, meaning_of, read_function
from sb3port.readers.meaning.formulas.stack import HANDLERS, NULL, State, item
from sb3port.readers.meaning.formulas.tables import told_formula

_MAX_STEPS = 10_000
_MAX_NESTING = 40  # of calls, and of cases within cases
_BLOCK = 250


@dataclass
class Run:
    """What following functions of one Python has taken so far.

    Args:
        version: The Python.
        python: The one that wrote the file, as far as that is known.
        objects: For objects that can be called, what calling them gives, by the name of their class.
        where: What to call the function in a message on the budget.
        classes: For classes of torch's, what calling them gives, from arguments by position and by name; it
            may raise a ValueError.
    """

    version: Version
    python: Version | None
    objects: Mapping[str, Callable[["Run", Record, Any], Any]]
    where: str
    classes: Mapping[str, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = field(default_factory=dict)
    steps: int = 0
    nesting: int = 0

    def call(self, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Give what a call gives.

        Raises:
            NotExpressible: With what of it is more than an expression.
        """
        target = meaning_of(target)
        if isinstance(target, Named) and target.name in self.classes:
            return self.classes[target.name](args, kwargs)
        if isinstance(target, Named):
            return algebra.call(target.name, tuple(map(quantity, _only(args, kwargs, target.name))))
        if not isinstance(target, Record):
            raise NotExpressible(f"it calls {describe(target)}")
        with self.nested():
            return self._call_record(target, args, kwargs)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count how deep calls and cases lie in each other."""
        if self.nesting >= _MAX_NESTING:
            raise NotExpressible("it has too many cases")
        self.nesting += 1
        try:
            yield
        finally:
            self.nesting -= 1

    def _call_record(self, target: Record, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if target.calls("functools.partial"):
            function, before, given, namespace = _partial(target)
            told = told_formula(getattr(meaning_of(function), "name", ""), before, namespace, given)
            if told is not None and args == (algebra.PROGRESS,) and not kwargs:
                return algebra.symbol_of(told)
            return self.call(function, (*before, *args), {**given, **kwargs})
        if str(target.target) in self.objects and len(args) == 1 and not kwargs:
            return self.objects[str(target.target)](self, target, args[0])
        function = read_function(target)
        if self.version not in function.code.versions(self.python):
            raise NotExpressible("it is of another Python")
        frame = _Frame(self, function, disassemble(function.code, self.version, self.where))
        return frame.follow(0, State([], _bound(function, args, kwargs)))

    def step(self) -> None:
        """Count an instruction."""
        if self.steps % _BLOCK == 0:
            spend(Cost.OPCODES, _BLOCK, self.where)
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise NotExpressible("it does too much")


@dataclass(frozen=True)
class _Frame:
    run: Run
    function: Function
    instructions: Mapping[int, Instruction]

    @property
    def code(self) -> Code:
        return self.function.code

    def follow(self, offset: int, state: State) -> Any:
        """Give what the function returns from here on."""
        while True:
            self.run.step()
            instruction = self.instructions.get(offset, _END)
            if instruction.name == "RETURN_VALUE":
                return state.pop(1)[0]
            if instruction.name == "RETURN_CONST":
                return item(self.code.consts, instruction.arg)
            if "JUMP_IF_" not in instruction.name:
                self._do(instruction, state)
                offset = instruction.after if instruction.target == -1 else instruction.target
                continue
            test = _test(instruction, state)
            if isinstance(test, Symbol):
                return self._both(instruction, state, test)
            offset = _taken(instruction, state, bool(test))

    def _do(self, instruction: Instruction, state: State) -> None:
        if instruction.name in _CALLS:
            state.stack.append(_CALLS[instruction.name](self, state, instruction))
        elif instruction.name in HANDLERS:
            HANDLERS[instruction.name](self.function, state, instruction)
        else:
            raise NotExpressible(f"it does what no formula needs ({instruction.name})")

    def _both(self, instruction: Instruction, state: State, test: Symbol) -> Quantity:
        """Follow both ways of a jump that the progress decides."""
        ways = []
        with self.run.nested():
            for value in (True, False):
                there = state.copy()
                offset = _taken(instruction, there, value)
                ways.append(quantity(self.follow(offset, there)))
        return algebra.choose(test, *ways)


_END = Instruction("the end of its code", 0, 0)


def _test(instruction: Instruction, state: State) -> Any:
    """Give what decides a jump; it stays on the stack where the jump may leave it there."""
    keeps = instruction.name.endswith("_OR_POP")
    (value,) = state.pop(1)
    if keeps:
        state.stack.append(value)
    if instruction.name.endswith("NONE"):
        return (value is None) != instruction.name.endswith("NOT_NONE")
    return value is not None and quantity(value)


def _taken(instruction: Instruction, state: State, value: bool) -> int:
    """Tell where a jump leads, and leave on the stack what it leaves there."""
    jumps = value == ("JUMP_IF_FALSE" not in instruction.name)
    if instruction.name.endswith("_OR_POP") and not jumps:
        state.pop(1)
    return instruction.target if jumps else instruction.after


def _call_plain(frame: _Frame, state: State, instruction: Instruction) -> Any:
    """CALL_FUNCTION: the function, then its arguments."""
    target, *args = state.pop(instruction.arg + 1)
    return frame.run.call(target, tuple(args), {})


def _call_plain_named(frame: _Frame, state: State, instruction: Instruction) -> Any:
    """CALL_FUNCTION_KW: the names of the last arguments lie on top."""
    (names,) = state.pop(1)
    target, *args = state.pop(instruction.arg + 1)
    return _call_named(frame, target, args, names)


def _call(frame: _Frame, state: State, instruction: Instruction) -> Any:
    """CALL and CALL_METHOD: the function and a NULL, in either order, then the arguments."""
    names, state.keywords = state.keywords, ()
    first, second, *args = state.pop(instruction.arg + 2)
    return _call_named(frame, _beside_null(first, second), args, names)


def _call_kw(frame: _Frame, state: State, instruction: Instruction) -> Any:
    (names,) = state.pop(1)
    first, second, *args = state.pop(instruction.arg + 2)
    return _call_named(frame, _beside_null(first, second), args, names)


def _beside_null(first: Any, second: Any) -> Any:
    if (first is NULL) == (second is NULL):
        raise NotExpressible("it calls a method")
    return second if first is NULL else first


def _call_named(frame: _Frame, target: Any, args: list[Any], names: Any) -> Any:
    if not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
        raise NotExpressible("its code is damaged")
    if len(names) > len(args):
        raise NotExpressible("its code is damaged")
    count = len(args) - len(names)
    return frame.run.call(target, tuple(args[:count]), dict(zip(names, args[count:], strict=True)))


_CALLS: Mapping[str, Callable[[_Frame, State, Instruction], Any]] = {
    "CALL_FUNCTION": _call_plain,
    "CALL_FUNCTION_KW": _call_plain_named,
    "CALL_METHOD": _call,
    "CALL": _call,
    "CALL_KW": _call_kw,
}


def _only(args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    if kwargs:
        raise NotExpressible(f"it calls {name} with arguments by name")
    return args


def _partial(record: Record) -> tuple[Any, tuple[Any, ...], Mapping[str, Any], Any]:
    """Take `functools.partial` apart: its function, first arguments, arguments by name, and attributes."""
    match record.states[-1:]:
        case [(function, tuple() as args, dict() as kwargs, namespace)]:
            return function, args, kwargs, namespace
    raise NotExpressible("it is a partial of an unknown form")


def _bound(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[int, Any]:
    """Give the variables of a call by their numbers.

    Raises:
        NotExpressible: The arguments do not fit, of which Python would say the same.
    """
    code = function.code
    names = code.varnames[: code.argcount + code.kwonly]
    by_position = names[: code.argcount]
    last = by_position[len(by_position) - len(function.defaults) :]
    if len(last) != len(function.defaults) or len(args) > len(by_position):
        raise NotExpressible("its arguments do not fit")
    defaults = dict(zip(last, function.defaults, strict=True))
    taken = dict(zip(by_position, args, strict=False))
    given = {**defaults, **function.kwdefaults, **taken, **kwargs}
    if set(given) != set(names) or set(taken) & set(kwargs):
        raise NotExpressible("its arguments do not fit")
    return {number: meaning_of(given[name]) for number, name in enumerate(names)}
