"""The options that say which policy a command takes, and how a SOURCE is read."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sb3port.cli import options
from sb3port.cli.output import Output
from sb3port.files.texts.terminal import shown, terminal

if TYPE_CHECKING:
    from sb3port.commands.policies import ReadOptions

# Name, annotation, default.
_OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    ("last", options.Last, False),
    ("filename", options.Filename, None),
    ("revision", options.Revision, None),
    ("vecnormalize", options.Vecnormalize, None),
    ("no_stats", options.NoStats, False),
    ("assume_standard_forward", options.AssumeStandardForward, False),
    ("extractor", options.Extractor, None),
    ("sandbox", options.Sandbox, None),
)

R = TypeVar("R")


def with_policy(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options that find and read a policy; it gets them, checked, as `reading`.

    Args:
        command: Has a parameter `reading`, which is not an option.
    """

    def run(**arguments: Any) -> R:
        given = {name: arguments.pop(name) for name, _, _ in _OPTIONS}
        return command(reading=read_options(**given), **arguments)

    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        several = map(_parameter, _OPTIONS) if parameter.name == "reading" else [parameter]
        parameters += (p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in several)
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__doc__ = command.__doc__
    return run


def read_options(no_stats: bool = False, **given: Any) -> "ReadOptions":
    """Give the options as what is behind the command line takes them; see `policies.read_options`."""
    from sb3port.commands.policies import read_options as put_together

    return put_together(use_stats=not no_stats, **given)


def chosen_by(output: Output) -> Callable[[str], None]:
    """Give what says which checkpoint of a run was taken, and why."""
    return lambda choice: output.stage(terminal("port"), shown(choice))


def _parameter(option: tuple[str, Any, Any]) -> inspect.Parameter:
    name, annotation, default = option
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
