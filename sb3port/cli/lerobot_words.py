"""LeRobot's way to name an environment, `--env.type=pusht --env.task=PushT-v0`, in words of our commands."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sb3port.errors import UsageError, did_you_mean

_BEGIN = "--env."
_TYPE, _MODULE = "type", "discover_packages_path"
_HINT = "write --env.type=pusht --env.obs_type=state, or --env lerobot:pusht --env-kwargs obs_type=state"


def from_lerobot(words: Sequence[str]) -> list[str]:
    """Give a command line without options of LeRobot's environments, with ours that mean the same.

    `--env.type=gymnasium` names an environment of Gymnasium, and its fields are options here; any other type
    is `--env lerobot:type`, with its fields as arguments of the environment.

    Raises:
        UsageError: There are fields without a type or a value, or fields that mean nothing here.
    """
    kept, fields = _divided(words)
    if not fields:
        return kept
    kind, module = fields.pop(_TYPE, None), fields.pop(_MODULE, None)
    if not kind:
        first = next(iter(fields), _TYPE if module is None else _MODULE)
        raise UsageError(f"{_BEGIN}{first} is for an environment of LeRobot's, and none is named", _HINT)
    if kind == "gymnasium":
        return [*kept, *_of_gymnasium(fields, module)]
    name = ":".join(filter(None, ("lerobot", module, kind)))
    nested = ["--env-kwargs", json.dumps(_nested(fields))] if fields else []
    return [*kept, "--env", name, *nested]


def _divided(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Tell other words from fields, which have their values after `=` or in the next word."""
    kept: list[str] = []
    fields: dict[str, str] = {}
    left = iter(words)
    for word in left:
        if not word.startswith(_BEGIN):
            kept.append(word)
            continue
        name, equals, value = word.removeprefix(_BEGIN).partition("=")
        if not equals and (value := next(left, "--")).startswith("--"):
            raise UsageError(f"{word} needs a value", _HINT)
        fields[name] = value
    return kept, fields


def _of_gymnasium(fields: Mapping[str, str], module: str | None) -> Iterator[str]:
    """Give the options for the fields of `--env.type=gymnasium`, which the plugin brings."""
    if not fields.get("task"):
        raise UsageError("--env.type=gymnasium needs --env.task", "write it like --env.task=Pendulum-v1")
    for name, value in fields.items():
        if name == "task":
            yield from ("--env", value if module is None or ":" in value else f"{module}:{value}")
        elif name in _OPTIONS:
            yield from _OPTIONS[name](value)
        else:
            hint = did_you_mean(name, ("task", *_OPTIONS), f"known: {', '.join(('task', *_OPTIONS))}")
            raise UsageError(f"{_BEGIN}{name} has no meaning for sb3port", hint)


def _after(option: str) -> Callable[[str], tuple[str, ...]]:
    return lambda value: () if value in ("", "null", "{}") else (option, value)


_OPTIONS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "env_kwargs": _after("--env-kwargs"),
    "wrappers": _after("--wrapper"),
    "frame_stack": _after("--frame-stack"),
    "episode_length": _after("--max-episode-steps"),
    "use_masking": lambda value: ("--no-masking",) if value.lower() == "false" else (),
    "render_mode": lambda _: (),  # films are options of their own
}


def _nested(fields: Mapping[str, str]) -> dict[str, Any]:
    """Give fields as a dictionary; `a.b` is b in that under a, as in LeRobot's configurations."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        *outer, last = name.split(".")
        place = found
        for key in outer:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise UsageError(f"{_BEGIN}{name} is within {_BEGIN}{key}, which has a value", _HINT)
        place[last] = _value(value)
    return found


def _value(text: str) -> Any:
    """Read a value as LeRobot does: JSON where it is that, else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
