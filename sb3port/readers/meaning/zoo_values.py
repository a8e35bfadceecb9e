"""Values that rl_zoo3 gives to `eval`, and its schedules and wrappers, read as data.

`policy_kwargs: "dict(net_arch=[64], activation_fn=nn.ReLU)"` is Python: it is parsed with `ast`, and never
run.
"""

import ast
import math
import re
import warnings
from collections.abc import Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import Wrapper
from sb3port.checkpoint.plain import is_plain
from sb3port.checkpoint.schedules import ConstantSchedule, Schedule, SimpleLinearSchedule
from sb3port.errors import NotPortable, Unsafe

_MODULES = ("nn", "th.nn", "torch.nn", "th.optim", "torch.optim", "optim")
_CLASSES = ("RMSpropTFLike", "FlattenExtractor", "NatureCNN", "CombinedExtractor")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_MAX_NAME = 200
# What can only be there to run something, whatever it is that it runs.
_RUNS = (
    ast.Call,
    ast.Attribute,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.NamedExpr,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.JoinedStr,
)


def read_kwargs(value: Any, where: str) -> dict[str, Any]:
    """Read keyword arguments: a dictionary, or the text of an expression such as `dict(norm_obs=False)`.

    Raises:
        NotPortable: It is neither.
        Unsafe: The expression would run code.
    """
    found = read_expression(value, where) if isinstance(value, str) else value
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise NotPortable(f"{where} is not a dictionary of keyword arguments")
    return {key: _short_names(item) for key, item in found.items()}


def read_expression(text: str, where: str) -> Any:
    """Read a Python expression of numbers, texts, lists, tuples, dictionaries, `dict(...)` and class names.

    A class such as `nn.ReLU` or `th.optim.Adam` becomes its short name.

    Raises:
        NotPortable: It is anything else.
        Unsafe: It calls or takes apart what is none of these.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own remarks on a stranger's style
            found = _value(ast.parse(text.strip(), mode="eval").body, where)
            if not is_plain(found):
                raise ValueError("a number in it is too large, or none")
            return found
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise NotPortable(f"{where} is not an expression that sb3port can read: {text[:200]!r}") from error


def _value(node: ast.expr, where: str) -> Any:
    match node:
        case ast.List(elts=items):
            return [_value(item, where) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item, where) for item in items)
        case ast.Dict(keys=keys, values=values) if all(keys):
            pairs = zip(keys, values, strict=True)
            return {_value(key, where): _value(item, where) for key, item in pairs if key is not None}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(k.arg for k in keywords):
            return {keyword.arg: _value(keyword.value, where) for keyword in keywords}
    return _single(node, where)


def _single(node: ast.expr, where: str) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Attribute(value=module, attr=name) if ast.unparse(module) in _MODULES:
            return name
        case ast.Name(id=name) if name in _CLASSES:
            return name
    raise _refusal(node, where)


def _refusal(node: ast.expr, where: str) -> NotPortable:
    text = repr(ast.unparse(node)[:200])
    if isinstance(node, _RUNS):
        return Unsafe(
            f"{where} holds the code {text}, which rl_zoo3 would run",
            "nothing of it was run; if you trust the model, port it from a folder without this file",
        )
    return NotPortable(
        f"{where} holds {text}, which is neither a plain value nor the name of a class of torch's"
    )


def _short_names(value: Any) -> Any:
    """Give classes that a Python tag named (`torch.nn.modules.activation.ReLU`) their short names, too."""
    if isinstance(value, str) and value.startswith(("torch.", "stable_baselines3.")):
        return value.rpartition(".")[2]
    return value


def read_zoo_schedule(value: Any, where: str) -> Schedule:
    """Read a learning rate or clip range: a number, its text, or `lin_3e-4` (linear to 0).

    Raises:
        NotPortable: It is none of these.
    """
    if isinstance(value, str) and value.startswith("lin_"):
        return SimpleLinearSchedule(_number(value.removeprefix("lin_"), value, where))
    return ConstantSchedule(_number(value, value, where))


def _number(value: Any, shown: Any, where: str) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise NotPortable(
            f"{where} is neither a number nor a schedule such as lin_3e-4: {str(shown)[:200]!r}"
        )
    return number


def read_wrappers(value: Any, where: str) -> tuple[Wrapper, ...]:
    """Read wrappers or callbacks, innermost first: a dotted name, `{name: kwargs}`, or a list of both.

    Raises:
        NotPortable: It is none of these.
    """
    items = [] if value is None else value if isinstance(value, list | tuple) else [value]
    return tuple(_wrapper(item, where) for item in items)


def _wrapper(item: Any, where: str) -> Wrapper:
    pairs = item if isinstance(item, Mapping) else {item: None} if isinstance(item, str) else {}
    if len(pairs) != 1:
        raise NotPortable(
            f"{where} is neither the name of a class nor one with its arguments: {str(item)[:200]!r}"
        )
    ((name, kwargs),) = pairs.items()
    if len(name) > _MAX_NAME or not _DOTTED.fullmatch(name):
        raise NotPortable(f"{where} is not the dotted name of a class: {name[:_MAX_NAME]!r}")
    return Wrapper(name, read_kwargs(kwargs, f"{where}: {name}"))
