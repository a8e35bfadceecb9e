"""What is said of a wrong command line: one sentence of ours, and what to write instead.

Typer's and Click's own exceptions are told apart by their names: where they can be imported from depends on
the version of Typer, and so do their texts.
"""

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from sb3port.cli.values import BadValue
from sb3port.errors import UsageError, did_you_mean
from sb3port.files.texts.characters import one_line

_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((?P<words>.*)\)", re.DOTALL)
_INTERRUPTED = 128 + signal.SIGINT
_Refusal: Any = typer.BadParameter.__base__  # of any wrong argument


@contextmanager
def in_our_words(ctx: Any = None) -> Iterator[None]:
    """Say in our own words what Typer refuses, and nothing of Ctrl-C.

    Args:
        ctx: Typer's context of the command, where it is known.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except _Refusal as refusal:
        raise _said(refusal, refusal.ctx or ctx) from refusal


def no_such_command(name: str, known: list[str]) -> UsageError:
    """Give the error for a command that there is not."""
    return UsageError(f"sb3port has no command {name}", did_you_mean(name, known, "see: sb3port --help"))


def _said(refusal: Any, ctx: Any) -> UsageError:
    command = ctx.command_path if ctx is not None else "sb3port"
    param = getattr(refusal, "param", None)
    match type(refusal).__name__:
        case "NoSuchOption":
            known = _options(ctx)
            hint = did_you_mean(refusal.option_name, known, f"see: {command} --help", cutoff=0.7)
            return UsageError(f"{command} has no option {refusal.option_name}", hint)
        case "MissingParameter" if param is not None:
            return UsageError(f"{command} needs {_name(param)}", _example(ctx))
        case "BadOptionUsage":
            return _of_usage(refusal.option_name, ctx)
    if isinstance(refusal, BadValue) and param is not None:
        return UsageError(f"{_name(param)} {refusal.message}", refusal.hint)
    if extra := _EXTRA.match(refusal.message):
        return UsageError(f"{command} has no use for {extra['words']}", _example(ctx))
    where = _name(param) if param is not None else command
    return UsageError(f"{where}: {_begun_small(refusal.message)}", _example(ctx))


def _of_usage(name: str, ctx: Any) -> UsageError:
    """Say that an option has no value, or that it takes none."""
    params = ctx.command.params if ctx is not None else ()
    metavar = next((param.metavar for param in params if name in param.opts), None)
    if metavar is None:
        return UsageError(f"{name} takes no value", f"write {name} alone")
    return UsageError(f"{name} needs a value", f"write it like {name} {metavar}")


def _options(ctx: Any) -> list[str]:
    params = ctx.command.get_params(ctx) if ctx is not None else []
    return [name for param in params for name in (*param.opts, *param.secondary_opts) if name[:2] == "--"]


def _name(param: Any) -> str:
    """Name a parameter as users do: by its long option, or as the usage line has it."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    return str(max(param.opts, key=len))


def _example(ctx: Any) -> str | None:
    """Give a command that is right, from the help of the one that is wrong."""
    lines = (ctx.command.epilog or "").splitlines() if ctx is not None else []
    found = next((line.strip() for line in lines if line.strip().startswith("sb3port ")), None)
    return f"write it like this: {found}" if found else None


def _begun_small(message: str) -> str:
    text = one_line(message).rstrip(".")
    return text[:1].lower() + text[1:]
