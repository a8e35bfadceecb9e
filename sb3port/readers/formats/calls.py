"""What a call in a pickle names beside the function that is called, told without calling it.

A pickle names modules in calls of `subimport`, attributes in calls of `getattr`, and carries classes and
functions as calls that would build them. All of it is given as dotted names, for `groups` to judge.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sb3port.files.budget import Cost, spend
from sb3port.readers.formats.groups import (
    Group,
    dangers_in_code,
    group_of,
    is_function_of_python,
    is_way_around,
    rebuilds,
)
from sb3port.readers.formats.records import CALLED, IN_FILE, Global, Record

_PICKLERS = ("cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast")
_BUILTIN_TYPE = "cloudpickle.cloudpickle._builtin_type"
_IMPORTERS = ("subimport", "import_module", "__import__")
_GET_ATTRIBUTE = ("builtins.getattr", "__builtin__.getattr")
_GET_ITEM = ("_operator.getitem", "operator.getitem")
_CODE_TYPES = ("types.CodeType", "builtins.code")
# Functions that call what they are given: no honest object is rebuilt by one.
_CALLERS = frozenset(
    {
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("filter", "map", "iter")),
        *(f"builtins.{name}" for name in ("max", "min", "sorted", "sum", "any", "all", "next")),
        *(f"itertools.{name}" for name in ("accumulate", "dropwhile", "filterfalse", "groupby", "starmap")),
        *("__builtin__.reduce", "functools.reduce", "_functools.reduce", "itertools.takewhile"),
    }
)
# What may hold a function of the file, and does not call it.
_HOLDERS = frozenset(
    {
        *("functools.partial", "functools.partialmethod", "functools.cached_property", "types.MethodType"),
        *("types.SimpleNamespace", "types.MappingProxyType", "dataclasses.field", "dataclasses.Field"),
        *(f"collections.{name}" for name in ("defaultdict", "OrderedDict", "deque", "ChainMap", "UserDict")),
        *(f"builtins.{name}" for name in ("staticmethod", "classmethod", "property", "type", "object")),
        *("array._array_reconstructor", "copy_reg._reconstructor", "_codecs.encode", "_functools.partial"),
        *(f"builtins.{name}" for name in ("getattr", "tuple", "list", "dict", "set", "frozenset")),
    }
)
_PARTIALS = ("functools.partial", "_functools.partial", "functools.partialmethod")
_HOLDING_PACKAGES = frozenset({"cloudpickle", "copyreg", "copy_reg"})
_FUNCTION_TYPES = ("types.FunctionType", "types.LambdaType", "builtins.function")
_FUNCTION_MAKERS = ("_make_function", "_make_skel_func", "_fill_function")
_SETTERS = ("_class_setstate", "_function_setstate", "_fill_function", "_rehydrate_skeleton_class")
_UFUNC = "_ufunc_reconstruct"
_MAX_DEPTH = 4
_LOOKED_INTO = (Record, Global, list, tuple, dict)
# The calls that would build a class, and where among the arguments its name is.
CLASSES = (
    *(f"{module}.{name}" for module in _PICKLERS for name in ("_make_skeleton_class", "_make_skeleton_enum")),
    *(f"{module}._rehydrate_skeleton_class" for module in _PICKLERS),
    "builtins.type",
)


def reached_by(target: Any, args: tuple[Any, ...]) -> Global | None:
    """Give what a call of `getattr` would give, by its dotted name; None for every other call."""
    if not isinstance(target, Global) or str(target) not in _GET_ATTRIBUTE:
        return None
    owner, name = args[:2] if len(args) >= 2 else (None, None)
    if not isinstance(name, str) or not name or "." in name:
        return CALLED
    if isinstance(owner, Record):
        module = _module(owner)
        owner = Global(module, "") if module is not None else owner.reached or _class_of(owner)
    if not isinstance(owner, Global):
        owner = Global("builtins", type(owner).__name__)
    if owner.module == IN_FILE and is_way_around(name):
        return CALLED
    return Global(owner.module, f"{owner.name}.{name}".lstrip("."))


def named_by(target: Any, args: tuple[Any, ...], reached: Global | None) -> Iterator[Global]:
    """Give what a call names beside its target.

    Args:
        target: A `Global` or `Record`.
        args: Of the call.
        reached: What it reaches, where it is a call of `getattr`.
    """
    if reached is not None:
        yield reached
    elif is_code(target):
        yield from _named_by_code(args)
    elif isinstance(target, Record):
        yield from () if target.calls(_BUILTIN_TYPE) else _called(target)
    elif target.name in _IMPORTERS and len(args) == 1:
        yield Global(_text(args[0]), "*")
    elif target.name == "_getobject" and len(args) == 2:
        yield Global(_text(args[0]), _text(args[1]))
    elif str(target) == _BUILTIN_TYPE and args:
        yield Global("types", _text(args[0]))
    elif target.name == _UFUNC and len(args) == 2:
        yield Global(_text(args[0]), _text(args[1]))
    elif is_class_in_file(target, args):
        yield Global(IN_FILE, class_name(args))
    if isinstance(target, Global) and _is_caller(target, args):
        yield CALLED


def _is_caller(target: Global, args: tuple[Any, ...]) -> bool:
    """Whether a call would call something else that the pickle gives it, or do more than build an object."""
    if str(target) in _CALLERS or not rebuilds(target, args):
        return True
    if str(target) in _GET_ITEM:
        return not (args and (isinstance(args[0], Global) or _is_reached(args[0])))
    if target.name in _SETTERS:
        return not (args and _is_of_the_file(args[0]))
    # Protocol 2 and older name what Python 2 had.
    named = str(target).replace("__builtin__.", "builtins.")
    if named in _HOLDERS or target.module.partition(".")[0] in _HOLDING_PACKAGES:
        return False
    if group_of(target) is Group.OWN_CODE:
        return False
    return _holds_function(args) or (is_function_of_python(target) and _holds_callable(args))


def _is_reached(value: Any) -> bool:
    return isinstance(value, Record) and value.reached is not None


def _is_of_the_file(value: Any) -> bool:
    """Whether it is a class or function that the file carries, however far it is put together.

    What a setter gives is what it was given, and was looked at then.
    """
    if not isinstance(value, Record):
        return False
    was_set = isinstance(value.target, Global) and value.target.name in _SETTERS
    return was_set or is_class_in_file(value.target, value.args) or _is_function(value)


def _is_function(value: Record) -> bool:
    """Whether it is a function that the file carries."""
    target = value.target
    if isinstance(target, Record):
        return target.calls(_BUILTIN_TYPE) and target.args[:1] in (("FunctionType",), ("LambdaType",))
    return target.name in _FUNCTION_MAKERS or str(target) in _FUNCTION_TYPES


def _holds_function(args: tuple[Any, ...]) -> bool:
    """Whether a function that the file carries is among the arguments, or in what they hold."""
    return _any_within(args, lambda value: isinstance(value, Record) and _is_function(value))


def _any_within(args: tuple[Any, ...], is_one: Callable[[Any], bool]) -> bool:
    """Whether something is among the arguments, or in what they hold.

    A pickle can hold one list in many places: each is looked into once, and charged for.
    """
    pending: list[tuple[Any, int]] = [(args, _MAX_DEPTH)]
    seen: set[int] = set()
    while pending:
        value, depth = pending.pop()
        if is_one(value):
            return True
        if isinstance(value, Record):  # what a state or the items of an object hold
            value = [*value.args, *value.states, *value.items, *(item for _, item in value.pairs)]
        if depth == 0 or not isinstance(value, list | tuple | dict) or id(value) in seen:
            continue
        seen.add(id(value))
        spend(Cost.VALUES, len(value), "a pickle")
        items = value.values() if isinstance(value, dict) else value
        pending.extend((item, depth - 1) for item in items if isinstance(item, _LOOKED_INTO))
    return False


def _holds_callable(args: tuple[Any, ...]) -> bool:
    """Whether something that could be called is among the arguments, or in what they hold."""
    return _any_within(args, _is_callable)


def _is_callable(value: Any) -> bool:
    if isinstance(value, Global):
        return True
    return isinstance(value, Record) and (value.reached is not None or value.calls(*_PARTIALS))


def is_class_in_file(target: Any, args: tuple[Any, ...]) -> bool:
    """Whether a call would build a class from code that the file carries."""
    by_name = isinstance(target, Global) and str(target) in CLASSES
    return by_name and (target.module != "builtins" or len(args) == 3)


def class_name(args: tuple[Any, ...]) -> str:
    """Give the name of such a class."""
    return next((arg[:200] for arg in args if isinstance(arg, str)), "of the author's own")


def code_parts(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[str, ...], str]:
    """Find constants, names and the function's own name in the arguments of any Python's `CodeType`.

    Constants and names follow the bytecode; then come variables, the file's name, the function's name, and
    since 3.11 its qualified name.
    """
    index = next((i for i, arg in enumerate(args) if isinstance(arg, bytes)), len(args))
    constants, names = (
        part if isinstance(part, tuple) else () for part in (*args[index + 1 : index + 3], (), ())[:2]
    )
    texts = [arg for arg in args[index + 1 :] if isinstance(arg, str)]
    return constants, tuple(n for n in names if isinstance(n, str)), texts[-1][:200] if texts[1:] else "code"


def is_code(target: Any) -> bool:
    """Whether a call of it would make the code of a function, of which its arguments are the parts."""
    if isinstance(target, Record):
        return target.calls(_BUILTIN_TYPE) and target.args[:1] == ("CodeType",)
    return str(target) in _CODE_TYPES


def _named_by_code(args: tuple[Any, ...]) -> Iterator[Global]:
    _, names, own_name = code_parts(args)
    yield Global(IN_FILE, own_name)
    for name in dangers_in_code(names):
        yield Global("builtins", name) if name.startswith(("__", "exec")) else Global(name, "*")


def _called(target: Record) -> Iterator[Global]:
    """Name the call of what the pickle has put together, unless that is a class.

    What a class of the author's own does when an object of it is built, nobody can tell: it is own code.
    """
    known = target.reached is not None and group_of(target.reached) in (Group.OWN_CODE, Group.INERT)
    if not known and not is_class_in_file(target.target, target.args):
        yield CALLED


def is_module(value: Any) -> bool:
    """Whether it is a module that the pickle would import as a value."""
    return isinstance(value, Record) and _module(value) is not None


def _module(record: Record) -> str | None:
    by_name = isinstance(record.target, Global) and record.target.name in _IMPORTERS
    return _text(record.args[0]) if by_name and len(record.args) == 1 else None


def _class_of(instance: Record) -> Global:
    """Name the class of an object, as far as it shows."""
    target = instance.target
    if isinstance(target, Global):
        made = instance.args[:1] if str(target).startswith("copyreg.") else ()
        return made[0] if made and isinstance(made[0], Global) else target
    in_file = is_class_in_file(target.target, target.args)
    return Global(IN_FILE, class_name(target.args) if in_file else "<something>")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a name is not a string")
    return value
