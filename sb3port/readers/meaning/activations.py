"""`activation_fn` of a pickle: a class of torch.nn, a partial of one, or a function that returns one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sb3port.checkpoint.expressions import value_at
from sb3port.errors import NotPortable
from sb3port.families.activations import NAMES, Activation, activation
from sb3port.readers.formats.arrays import as_plain
from sb3port.readers.formats.bytecode import NotExpressible
from sb3port.readers.formats.opcodes import VERSIONS
from sb3port.readers.formats.records import Global, Record
from sb3port.readers.meaning.formulas.algebra import Symbol
from sb3port.readers.meaning.formulas.functions import meaning_of, name_of
from sb3port.readers.meaning.formulas.run import Run

_MODULE = "torch.nn.modules.activation"
_MAX_PARTIALS = 10


def read_activation(value: Any, where: str) -> str:
    """Give the text of an activation, as `families.activations` writes it.

    Args:
        value: What the symbolic pickle reader gave.
        where: What to call it in an error message.

    Raises:
        NotPortable: It is not one of torch's, or has arguments that are not supported.
    """
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    for _ in range(_MAX_PARTIALS):
        if not (isinstance(value, Record) and value.calls("functools.partial")):
            break
        value, before, given = _partial(value, where)
        args, kwargs = (*before, *args), {**given, **kwargs}
    if isinstance(value, Global) and value.module == _MODULE:
        return _text(value.name, args, kwargs, where)
    if isinstance(value, Record) and (found := _returned(value, args, kwargs, where)) is not None:
        return found
    raise NotPortable(
        f"{where} is {name_of(value)[:200]}, where a class of torch.nn's activations is expected",
        "build the policy with one of them, or functools.partial of one, and load these weights into it",
    )


def _returned(function: Record, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> str | None:
    """Give the activation that a function with its code in the file makes, None where that cannot be told.

    Its code is followed, not run; where several Pythons can have compiled it, they must agree.

    Raises:
        NotPortable: It makes one that is not supported.
    """
    found: set[str] = set()
    for version in VERSIONS:
        run = Run(version, None, {}, where, {f"torch.nn.{name}": partial(_made, name) for name in NAMES})
        try:
            made = run.call(function, tuple(map(meaning_of, args)), kwargs)
        except NotExpressible:
            continue
        except ValueError as error:
            raise NotPortable(f"{where} is {error}") from error
        found.add(str(made) if isinstance(made, Activation) else "")
    return found.pop() if len(found) == 1 and "" not in found else None


def _made(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Activation:
    given = {key: _constant(value) for key, value in kwargs.items()}
    return activation(name, [_constant(arg) for arg in args], given)


def _constant(value: Any) -> Any:
    """Give a number that was calculated from others."""
    return value_at(value.node, 1.0) if isinstance(value, Symbol) else value


def _text(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> str:
    try:
        plain = {key: as_plain(given, where) for key, given in kwargs.items()}
        return str(activation(name, [as_plain(arg, where) for arg in args], plain))
    except ValueError as error:
        raise NotPortable(f"{where} is {error}") from error


def _partial(record: Record, where: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Take a partial apart: its state is the function, the arguments before others, and those by name."""
    match record.states[-1:]:
        case [(function, tuple() as args, None | dict() as kwargs, _)]:
            named = kwargs or {}
            if all(isinstance(key, str) for key in named):
                return function, args, named
    raise NotPortable(f"{where} is a partial of an unknown form")
