"""What of an environment a file may choose, and how a command says the rest, which only the user may.

A file does not choose code that is imported, places that are opened, windows, or episodes without an end.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.families.environment_ids import Home, home_of
from sb3port.families.wrappers import is_own, wrapper_text

_WORD = re.compile(r"[\w -]{0,100}")
# What nobody waits for or has room for, by a part of the argument's name.
_MOST = {
    "step": 1_000_000,
    "skip": 1_000_000,
    "delay": 1_000_000,
    "stack": 1000,
    "noop": 1000,
    "size": 10_000,
    "shape": 10_000,
}


def command_words(environment: EnvironmentSpec) -> tuple[str, ...]:
    """Give the words with which `sb3port eval` makes the environment of a training, wherever it is today."""
    home = Home("ENV_ID") if environment.env_id is None else home_of(environment.env_id)
    return (*id_words(home), *undecided_words(environment))


def id_words(home: Home) -> tuple[str, ...]:
    """Give the words of a command that name an environment."""
    more = ("--env-kwargs", json.dumps(dict(home.env_kwargs))) if home.env_kwargs else ()
    return ("--env", home.env_id, *more)


def undecided_words(environment: EnvironmentSpec) -> tuple[str, ...]:
    """Give the words of a command that say what a file alone does not decide, beside the id."""
    odd = {name: value for name, value in environment.env_kwargs.items() if is_odd(name, value)}
    words = ["--env-kwargs", json.dumps(odd)] if odd else []
    if any(map(is_undecided, environment.wrappers)):
        words += [word for wrapper in environment.wrappers for word in ("--wrapper", wrapper_text(wrapper))]
    return tuple(words)


def is_undecided(wrapper: Wrapper) -> bool:
    """Whether a wrapper is code of the user's, or has an argument that a file does not choose."""
    return is_own(wrapper) or any(is_odd(name, value) for name, value in wrapper.kwargs.items())


def is_odd(name: str, value: Any) -> bool:
    """Whether an argument could be a place, a module, a window, or more than anybody waits for."""
    return not _is_plain(value) or _is_too_much(name, value) or (name, value) == ("render_mode", "human")


def _is_too_much(name: str, value: Any) -> bool:
    several = value if isinstance(value, list | tuple) else [value]
    numbers = [abs(number) for number in several if isinstance(number, int | float)]
    return any(number > most for part, most in _MOST.items() if part in name for number in numbers)


def _is_plain(value: Any) -> bool:
    """Whether an argument is numbers and words, which name neither a file nor a module."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, bool | int | float)
