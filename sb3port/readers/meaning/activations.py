"""`activation_fn` of a pickle: a class of torch.nn, a partial of one, or a function that returns one."""

from typing import Any

from sb3port.errors import NotPortable
from sb3port.families.activations import activation
from sb3port.readers.formats.arrays import as_plain
from sb3port.readers.formats.records import Global, Record, describe

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
    if not isinstance(value, Global) or value.module != _MODULE:
        raise NotPortable(
            f"{where} is {describe(value)}, where a class of torch.nn's activations is expected",
            "build the policy with one of them, or functools.partial of one, and load these weights into it",
        )
    return _text(value.name, args, kwargs, where)


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
