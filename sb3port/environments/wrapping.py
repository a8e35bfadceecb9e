"""Putting around an environment what was around that of the training, or what the user wants instead."""

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.errors import NeedsOption, UsageError
from sb3port.families.wrappers import applied, wrapper_warnings
from sb3port.files.importing import working_folder_first

if TYPE_CHECKING:
    import gymnasium

_OWN = "gymnasium.envs."
_WORD = re.compile(r"[\w -]{0,100}")
LEAVE_OUT = "--no-wrappers leaves out what is noted of the training; --wrapper module:Class puts in your own"


@dataclass(frozen=True)
class Wrapping:
    """What goes around an environment.

    Args:
        env_kwargs: Arguments of the environment itself.
        wrappers: Innermost first: names of `sb3port.environments.wrappers`, or the user's `module:Class`.
        warnings: Sentences on what was there in training and is not here.
    """

    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[Wrapper, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every wrapper in a word or two, innermost first."""
        return tuple(_in_words(wrapper) for wrapper in self.wrappers)


PLAIN = Wrapping()


def wrapping_of(environment: EnvironmentSpec, own: Sequence[str] = (), recorded: bool = True) -> Wrapping:
    """Choose what goes around an environment.

    Args:
        environment: What the policy was trained in.
        own: `module:Class` of the user's, innermost first, which stand for all wrappers of the training; its
            frame stack goes around them.
        recorded: False to take nothing from `environment`.

    Raises:
        UsageError: One of `own` is not of that form, or an argument of the environment in training could be a
            place or a module, which a file does not choose.
    """
    wrong = [name for name in own if not all(name.partition(":"))]
    if wrong:
        raise UsageError(f"--wrapper {wrong[0]} does not name a wrapper", "name it like my_module:MyWrapper")
    mine = tuple(Wrapper(name) for name in own)
    if not recorded:
        return Wrapping(wrappers=mine)
    _refuse_arguments(environment.env_kwargs)
    if not own:
        for wrapper in environment.wrappers:
            _refuse_arguments(wrapper.kwargs)
        return Wrapping(environment.env_kwargs, applied(environment), tuple(wrapper_warnings(environment)))
    stack = applied(EnvironmentSpec(frame_stack=environment.frame_stack))
    return Wrapping(environment.env_kwargs, (*mine, *stack))


_MOST_STEPS = 1_000_000


def _refuse_arguments(kwargs: Mapping[str, Any]) -> None:
    """Refuse what a file has no business to choose: places, modules, windows, and episodes without an end."""
    odd = [name for name, value in kwargs.items() if not _is_plain(value) or _is_endless(name, value)]
    odd += [name for name, value in kwargs.items() if (name, value) == ("render_mode", "human")]
    if odd:
        raise UsageError(
            f"the environment of the training got {odd[0][:100]}={str(kwargs[odd[0]])[:100]!r}, and a file "
            "does not choose places or modules, windows, or episodes without an end",
            LEAVE_OUT,
        )


def _is_endless(name: str, value: Any) -> bool:
    """Whether it is a number of steps that nobody waits for."""
    is_number = isinstance(value, int | float)
    return is_number and ("step" in name or "skip" in name or "stack" in name) and abs(value) > _MOST_STEPS


def _is_plain(value: Any) -> bool:
    """Whether an argument is numbers and words, which name neither a file nor a module."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, bool | int | float)


def env_id_of(environment: EnvironmentSpec, given: str | None) -> str:
    """Give the id that the user names, else that of the training.

    Raises:
        UsageError: There is none.
        NeedsOption: Only a file names it, and it is not one of Gymnasium's own.
    """
    noted = environment.env_id
    if given is None and noted is None:
        raise UsageError("the environment of the training must be named with --env ID")
    if given is None and noted is not None and not is_gymnasiums_own(noted):
        raise NeedsOption(
            f"the environment of the training, which was {noted}, must be named: it is not Gymnasium's own, "
            "so that a file alone does not decide to make it",
            ("--env", noted),
        )
    return given or noted or ""


def is_gymnasiums_own(env_id: str) -> bool:
    """Whether an id names an environment that Gymnasium itself brings: a file may choose among those."""
    import gymnasium

    spec = gymnasium.registry.get(env_id)
    return spec is not None and isinstance(spec.entry_point, str) and spec.entry_point.startswith(_OWN)


def wrap_env(env: "gymnasium.Env[Any, Any]", wrapping: Wrapping) -> "gymnasium.Env[Any, Any]":
    """Put wrappers around an environment.

    Raises:
        UsageError: A wrapper does not fit the environment, or the user's cannot be imported.
    """
    for wrapper in wrapping.wrappers:
        env = (_wrap_in_own if ":" in wrapper.name else _wrap_as_in_training)(env, wrapper)
    return env


def _wrap_as_in_training(env: "gymnasium.Env[Any, Any]", wrapper: Wrapper) -> "gymnasium.Env[Any, Any]":
    from sb3port.environments.wrappers import wrap

    try:
        return wrap(env, wrapper.name, wrapper.kwargs)
    except ValueError as error:
        raise UsageError(f"the environment cannot be wrapped as in training: {error}", LEAVE_OUT) from error


def _wrap_in_own(env: "gymnasium.Env[Any, Any]", wrapper: Wrapper) -> "gymnasium.Env[Any, Any]":
    """Import a class of the user's, from the working folder, too, and wrap an environment in it."""
    module, _, attribute = wrapper.name.partition(":")
    try:
        with working_folder_first():
            wrapped: gymnasium.Env[Any, Any] = getattr(importlib.import_module(module), attribute)(env)
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"--wrapper {wrapper.name} does not work: {error!r}") from error
    return wrapped


def _in_words(wrapper: Wrapper) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in wrapper.kwargs.items())
    return f"{wrapper.name}({arguments})" if arguments else wrapper.name
