"""A checkpoint, or its contents, as JSON and arrays, and back: for another process of the same sb3port.

Ports are for keeping, and have a form that others read and that stays. This form holds every field as it is,
and whoever reads it trusts nobody: there are no classes but those of the waist, each field must be of the
type that is written there, and numbers are within bounds that an honest checkpoint keeps.
"""

import collections.abc
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from sb3port.checkpoint import checkpoint as waist
from sb3port.checkpoint import contents, schedules, spaces
from sb3port.checkpoint.checkpoint import Array, Checkpoint, PolicySpec, ReplaySpec
from sb3port.checkpoint.contents import Contents

_CLASSES: dict[str, type[Any]] = {
    name: kind
    for module in (waist, contents, spaces, schedules)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and is_dataclass(kind)
}
_MAX_JSON = 16 * 1024 * 1024

T = TypeVar("T")


class NotPlain(ValueError):
    """A form that is not one of a checkpoint; the message says what is wrong with it."""


def to_plain(read: Checkpoint | Contents) -> tuple[bytes, dict[str, Array]]:
    """Give what was read as JSON, and the arrays in it by number."""
    arrays: dict[str, Array] = {}
    form = json.dumps(_form(read, arrays)).encode()
    return form, arrays


def from_plain(form: bytes, arrays: Mapping[str, Array], kind: type[T]) -> T:
    """Read what `to_plain` gave.

    Args:
        form: The JSON.
        arrays: By number; they are made read-only.
        kind: What it must be: `Checkpoint` or `Contents`.

    Raises:
        NotPlain: It is not the form of one.
    """
    if len(form) > _MAX_JSON:
        raise NotPlain(f"it has {len(form):,} bytes of JSON, and may have {_MAX_JSON:,}")
    for array in arrays.values():
        array.flags.writeable = False
    try:
        value = _value(json.loads(form), arrays)
        _check(value, kind, "it")
    except NotPlain:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotPlain(f"{type(error).__name__}: {str(error)[:500]}") from error
    assert isinstance(value, kind)
    return value


def _form(value: Any, arrays: dict[str, Array]) -> Any:
    """Give JSON in which an object has one key, which says of what type it is."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        arrays[str(len(arrays))] = value
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple):
        return {"tuple": [_form(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_form(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {"map": [[_form(key, arrays), _form(item, arrays)] for key, item in value.items()]}
    given = {field.name: _form(getattr(value, field.name), arrays) for field in fields(value)}
    return {type(value).__name__: given}


def _value(form: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(form, list):
        return [_value(item, arrays) for item in form]
    if not isinstance(form, dict):
        return form
    ((kind, content),) = form.items()
    match kind:
        case "array":
            return arrays[str(content)]
        case "tuple":
            return tuple(_value(item, arrays) for item in content)
        case "map":
            return {_value(key, arrays): _value(item, arrays) for key, item in content}
    return _CLASSES[kind](**{name: _value(item, arrays) for name, item in content.items()})


def _check(value: Any, hint: Any, where: str) -> None:
    """Make sure that a value is of a type as it is written in the waist."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        _check_plain(value, where)
    elif origin in (Union, types.UnionType):
        _check_union(value, arguments, where)
    elif origin is tuple:
        _refuse_unless(isinstance(value, tuple), value, where)
        for number, item in enumerate(value):
            _check(item, arguments[0], f"{where}[{number}]")
    elif origin is collections.abc.Mapping:
        _refuse_unless(isinstance(value, dict), value, where)
        for key, item in value.items():
            _check(key, arguments[0], f"a key of {where}")
            _check(item, arguments[1], f"{where}[{str(key)[:100]!r}]")
    else:
        _check_class(value, origin or hint, where)


def _check_union(value: Any, kinds: tuple[Any, ...], where: str) -> None:
    """Check against the one kind that the value can be."""
    tops = [get_origin(kind) or kind for kind in kinds]
    fitting = [kind for kind, top in zip(kinds, tops, strict=True) if _is_instance(value, top)]
    _refuse_unless(bool(fitting), value, where)
    _check(value, fitting[0], where)


def _is_instance(value: Any, kind: type[Any]) -> bool:
    """Whether a value is exactly of a type; a whole number is a float, too, and a dict any mapping."""
    return type(value) in (dict if kind is collections.abc.Mapping else kind, int if kind is float else kind)


def _check_class(value: Any, kind: type[Any], where: str) -> None:
    if kind is PolicySpec and type(value) is ReplaySpec:
        kind = ReplaySpec
    _refuse_unless(_is_instance(value, kind), value, where)
    if is_dataclass(kind):
        for name, hint in _hints(kind).items():
            _check(getattr(value, name), hint, f"{where}.{name}")


def _check_plain(value: Any, where: str) -> None:
    """Make sure that a value of which no type is known is made of JSON's and of tuples."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_unless(isinstance(key, str | int | float | bool | None), key, f"a key of {where}")
            _check_plain(item, f"{where}[{str(key)[:100]!r}]")
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item, where)
    else:
        plain = value is None or isinstance(value, bool | int | float | str | np.ndarray)
        _refuse_unless(plain, value, where)


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _refuse_unless(fine: bool, value: Any, where: str) -> None:
    if not fine:
        raise NotPlain(f"{where[-300:]} is of type {type(value).__name__}")
