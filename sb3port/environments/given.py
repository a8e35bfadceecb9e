"""What a user says of an environment: on the command line as text, in Python as values."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sb3port.checkpoint.checkpoint import Wrapper
from sb3port.checkpoint.plain import is_plain
from sb3port.errors import NotPortable, UsageError, did_you_mean
from sb3port.families.wrappers import known_name
from sb3port.readers.meaning.zoo_values import read_expression

GivenWrapper: TypeAlias = str | Mapping[str, Mapping[str, Any] | None]

MOST_FRAMES = 1000
_KEY_VALUE = re.compile(r"(?P<key>[A-Za-z_]\w*)\s*[:=](?P<value>.*)", re.ASCII | re.DOTALL)
_WORD = re.compile(r"[\w./@+-][\w./@+: -]*")
_NAME = r"[A-Za-z_]\w*"
_WRAPPER = re.compile(
    rf"(?P<name>{_NAME}(?:\.{_NAME})*(?::(?!dict\(){_NAME})?)\s*(?::\s*(?P<dict>(?:\{{|dict\().*)|\((?P<call>.*)\))?",
    re.ASCII | re.DOTALL,
)
_DICTIONARIES = "write it as JSON, as Python does, or in rl_zoo3's way: "
_KWARGS_FORMS = f"""{_DICTIONARIES}'{{"a": 1}}', "dict(a=1)", a:1 or a=1"""
_WRAPPER_FORMS = (
    "name it like FrameSkip, my_module:MyWrapper, or with its arguments: 'FrameSkip:{\"skip\": 4}'"
)


@dataclass(frozen=True)
class Around:
    """What a user says of an environment beside its id; it goes before what is noted of the training.

    Args:
        env_kwargs: Arguments of the environment, each of which replaces the one of the training.
        wrappers: In place of those of the training, innermost first: noted names of ours, or `module:Class`.
        frame_stack: How many observations are put together outside of all wrappers, as SB3's VecFrameStack
            does; None as in the training, 1 for none.
        recorded: False to take neither arguments nor wrappers nor frames from the training.
    """

    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[Wrapper, ...] = ()
    frame_stack: int | None = None
    recorded: bool = True


AS_IN_TRAINING = Around()


def around(
    env_kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[GivenWrapper] = (),
    frame_stack: int | None = None,
    recorded: bool = True,
) -> Around:
    """Check what a user says of an environment.

    Args:
        env_kwargs: As in `Around`.
        wrappers: Each as on the command line, see `read_wrapper`, or arguments by the name of a wrapper.
        frame_stack: As in `Around`.
        recorded: Likewise.

    Raises:
        UsageError: A value is not plain, a wrapper is unknown, or it is no number of frames.
    """
    kwargs = dict(env_kwargs or {})
    if not is_plain(kwargs):
        raise UsageError(
            f"the arguments {str(kwargs)[:200]} of the environment are not all numbers, texts, lists and "
            "dictionaries",
            "put other values into a wrapper or an environment of your own",
        )
    if frame_stack is not None and not 1 <= frame_stack <= MOST_FRAMES:
        raise UsageError(f"{frame_stack} observations cannot be stacked", f"take 1 to {MOST_FRAMES}")
    found = tuple(wrapper for given in wrappers for wrapper in _wrappers(given))
    return Around(kwargs, found, frame_stack, recorded)


def read_env_kwargs(texts: Sequence[str]) -> dict[str, Any]:
    """Read arguments of an environment: dictionaries in JSON or Python, or rl_zoo3's `key:value`.

    Raises:
        UsageError: A text is none of these.
    """
    found: dict[str, Any] = {}
    for text in texts:
        found |= _env_kwargs(text.strip())
    return found


def read_wrapper(text: str) -> tuple[Wrapper, ...]:
    """Read a wrapper: `Name`, `module:Class` or `module.Class`.

    Each may have arguments after a colon or in brackets. Several come as LeRobot's `--env.wrappers` takes
    them, `{"Name": {...}, ...}`.

    Raises:
        UsageError: It is none of these, or there is no wrapper of this name.
    """
    text = text.strip()
    if text.startswith("{"):
        return _wrappers(_dictionary(text, "--wrapper", _WRAPPER_FORMS))
    found = _WRAPPER.fullmatch(text)
    if found is None:
        raise UsageError(f"--wrapper {text[:200]} does not name a wrapper", _WRAPPER_FORMS)
    arguments = found["dict"] if found["call"] is None else f"dict({found['call']})"
    kwargs = _dictionary(arguments, f"--wrapper {found['name']}", _WRAPPER_FORMS) if arguments else {}
    return (Wrapper(_noted_name(found["name"]), kwargs),)


def _wrappers(given: GivenWrapper) -> tuple[Wrapper, ...]:
    if isinstance(given, str):
        return read_wrapper(given)
    found = []
    for name, kwargs in given.items():
        ((wrapper),) = read_wrapper(str(name))
        if not isinstance(kwargs, Mapping | None) or not is_plain(kwargs or {}):
            raise UsageError(f"the arguments of the wrapper {name} are {str(kwargs)[:200]}", _WRAPPER_FORMS)
        found.append(Wrapper(wrapper.name, {**wrapper.kwargs, **(kwargs or {})}))
    return tuple(found)


def _noted_name(name: str) -> str:
    """Find a wrapper: one of ours, a class of the user's, or else of Gymnasium's, by the user's choice."""
    module, _, attribute = name.rpartition(":" if ":" in name else ".")
    if (ours := known_name(attribute)) is not None and (not module or _is_of_trainings(module)):
        return ours
    if module:
        return f"{module}:{attribute}"
    from gymnasium import wrappers

    from sb3port.environments.wrappers import WRAPPERS

    if attribute in wrappers.__all__ and attribute[:1].isupper():
        return f"gymnasium.wrappers:{attribute}"
    hint = did_you_mean(name, (*WRAPPERS, *wrappers.__all__), also=_WRAPPER_FORMS)
    raise UsageError(f"there is no wrapper {name}", hint)


def _is_of_trainings(module: str) -> bool:
    """Whether it is a module of the packages whose wrappers ours stand for."""
    return module.partition(".")[0] in ("sb3port", "sb3_contrib", "rl_zoo3", "stable_baselines3", "gymnasium")


def _env_kwargs(text: str) -> dict[str, Any]:
    if text.startswith(("{", "dict(")):
        return _dictionary(text, "--env-kwargs", _KWARGS_FORMS)
    found = _KEY_VALUE.fullmatch(text)
    if found is None:
        raise UsageError(f"--env-kwargs {text[:200] or 'without a value'} has no arguments", _KWARGS_FORMS)
    return {found["key"]: _value(found["value"].strip(), f"--env-kwargs {found['key']}")}


def _value(text: str, where: str) -> Any:
    """Read one value; a shell has taken the quotes of a text away, which is then one all the same."""
    try:
        return _literal(text, where)
    except NotPortable as error:
        if _WORD.fullmatch(text):
            return text
        raise UsageError(f"{where} is {text[:200] or 'empty'}, which is no value", _KWARGS_FORMS) from error


def _dictionary(text: str, where: str, forms: str) -> dict[str, Any]:
    try:
        found = _literal(text, where)
    except NotPortable as error:
        raise UsageError(f"{where} has arguments that cannot be read: {text[:200]}", forms) from error
    if not isinstance(found, dict) or not all(isinstance(key, str) and key for key in found):
        raise UsageError(f"{where} has arguments that are no dictionary: {text[:200]}", forms)
    return found


def _literal(text: str, where: str) -> Any:
    """Read a plain value of JSON or of Python; nothing in it is run.

    Raises:
        NotPortable: It is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return read_expression(text, where)
    if not is_plain(found):
        raise NotPortable(f"{where} holds a number that is none")
    return found
