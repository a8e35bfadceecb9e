"""CPython's instructions on a stack of numbers and expressions, but for jumps and calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sb3port.readers.formats.bytecode import Instruction, NotExpressible
from sb3port.readers.meaning.formulas import algebra
from sb3port.readers.meaning.formulas.algebra import quantity
from sb3port.readers.meaning.formulas.functions import MODULES, Function, Named, meaning_of

NULL = object()
"""What lies beside a function that is no method, when it is called."""


@dataclass
class State:
    """What changes while a function is followed."""

    stack: list[Any]
    variables: dict[int, Any]
    keywords: tuple[str, ...] = ()

    def copy(self) -> "State":
        """Give one that can change by itself."""
        return State(list(self.stack), dict(self.variables), self.keywords)

    def pop(self, count: int) -> list[Any]:
        """Take the last values from the stack, the topmost last."""
        if count > len(self.stack):
            raise NotExpressible("its code is damaged")
        cut = len(self.stack) - count
        taken = self.stack[cut:]
        del self.stack[cut:]
        return taken


def item(items: tuple[Any, ...], index: int) -> Any:
    """Give what an argument of an instruction counts."""
    if not 0 <= index < len(items):
        raise NotExpressible("its code is damaged")
    return items[index]


_Handler: TypeAlias = Callable[[Function, State, Instruction], None]


def _pushing(value_of: Callable[[Function, State, Instruction], Any]) -> _Handler:
    def handler(function: Function, state: State, instruction: Instruction) -> None:
        value = value_of(function, state, instruction)  # which may take from the stack
        state.stack.append(value)

    return handler


def _rotating(count: int) -> _Handler:
    def handler(_: Function, state: State, __: Instruction) -> None:
        *others, top = state.pop(count)
        state.stack += [top, *others]

    return handler


def _variable(state: State, number: int) -> Any:
    if number not in state.variables:
        raise NotExpressible("it uses a variable before it has a value")
    return state.variables[number]


def _drop(_: Function, state: State, __: Instruction) -> None:
    state.pop(1)


def _load_two(_: Function, state: State, instruction: Instruction) -> None:
    state.stack += [_variable(state, instruction.arg >> 4), _variable(state, instruction.arg & 15)]


def _store(_: Function, state: State, instruction: Instruction) -> None:
    (state.variables[instruction.arg],) = state.pop(1)


def _store_load(_: Function, state: State, instruction: Instruction) -> None:
    (state.variables[instruction.arg >> 4],) = state.pop(1)
    state.stack.append(_variable(state, instruction.arg & 15))


def _store_two(_: Function, state: State, instruction: Instruction) -> None:
    second, first = state.pop(2)
    state.variables[instruction.arg >> 4] = first
    state.variables[instruction.arg & 15] = second


def _copy(_: Function, state: State, instruction: Instruction) -> None:
    taken = state.pop(max(instruction.arg, 1))
    state.stack += [*taken, taken[0]]


def _swap(_: Function, state: State, instruction: Instruction) -> None:
    first, *between, last = state.pop(max(instruction.arg, 2))
    state.stack += [last, *between, first]


def _global(function: Function, name: str) -> Any:
    scope = function.scope
    return meaning_of(scope[name]) if name in scope else Named(name)


def _load_global_null(function: Function, state: State, instruction: Instruction) -> None:
    state.stack += [NULL, _global(function, item(function.code.names, instruction.arg))]


def _attribute(function: Function, state: State, instruction: Instruction) -> Any:
    (owner,) = state.pop(1)
    name = item(function.code.names, instruction.arg)
    if not isinstance(owner, Named):
        raise NotExpressible(f"it uses the attribute {name} of what is no module")
    return owner.attribute(name)


def _load_method(function: Function, state: State, instruction: Instruction) -> None:
    state.stack += [NULL, _attribute(function, state, instruction)]


def _import(function: Function, state: State, instruction: Instruction) -> Any:
    state.pop(2)
    name = item(function.code.names, instruction.arg)
    if name not in MODULES:
        raise NotExpressible(f"it imports {name}")
    return Named(MODULES[name])


def _import_from(function: Function, state: State, instruction: Instruction) -> None:
    (module,) = state.pop(1)
    state.stack += [module, module]
    state.stack.append(_attribute(function, state, instruction))


def _unary(_: Function, state: State, instruction: Instruction) -> Any:
    return algebra.unary(instruction.word, quantity(state.pop(1)[0]))


def _binary(_: Function, state: State, instruction: Instruction) -> Any:
    left, right = map(quantity, state.pop(2))
    return algebra.binary(instruction.word, left, right)


def _compare(_: Function, state: State, instruction: Instruction) -> Any:
    left, right = state.pop(2)
    if instruction.word in ("is", "is not") and right is None:
        return (left is None) == (instruction.word == "is")
    return algebra.compare(instruction.word, quantity(left), quantity(right))


def _name_keywords(function: Function, state: State, instruction: Instruction) -> None:
    names = item(function.code.consts, instruction.arg)
    state.keywords = names if isinstance(names, tuple) else ()


HANDLERS: Mapping[str, _Handler] = {
    **dict.fromkeys(("NOP", "RESUME", "JUMP_FORWARD", "JUMP_ABSOLUTE"), lambda _, __, ___: None),
    "POP_TOP": _drop,
    "ROT_TWO": _rotating(2),
    "ROT_THREE": _rotating(3),
    "ROT_FOUR": _rotating(4),
    "DUP_TOP": _copy,
    "COPY": _copy,
    "SWAP": _swap,
    "PUSH_NULL": _pushing(lambda _, __, ___: NULL),
    "LOAD_CONST": _pushing(lambda function, _, i: item(function.code.consts, i.arg)),
    "LOAD_SMALL_INT": _pushing(lambda _, __, i: i.arg),
    "LOAD_FAST": _pushing(lambda _, state, i: _variable(state, i.arg)),
    "LOAD_FAST_LOAD_FAST": _load_two,
    "STORE_FAST": _store,
    "STORE_FAST_LOAD_FAST": _store_load,
    "STORE_FAST_STORE_FAST": _store_two,
    "LOAD_DEREF": _pushing(lambda function, _, i: meaning_of(item(function.cells, i.arg))),
    "LOAD_GLOBAL": _pushing(lambda function, _, i: _global(function, item(function.code.names, i.arg))),
    "LOAD_GLOBAL_NULL": _load_global_null,
    "LOAD_ATTR": _pushing(_attribute),
    "LOAD_METHOD": _load_method,
    "IMPORT_NAME": _pushing(_import),
    "IMPORT_FROM": _import_from,
    "UNARY": _pushing(_unary),
    "BINARY": _pushing(_binary),
    "COMPARE": _pushing(_compare),
    "KW_NAMES": _name_keywords,
}
