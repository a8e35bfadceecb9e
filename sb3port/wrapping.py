"""Putting around an environment what was around that of the training, or what the user wants instead."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sb3port.checkpoint import EnvironmentSpec, Wrapper
from sb3port.errors import UsageError
from sb3port.importing import working_folder_first
from sb3port.wrappers import applied, wrapper_warnings

if TYPE_CHECKING:
    import gymnasium

LEAVE_OUT = "--no-wrappers leaves out what is noted of the training; --wrapper module:Class puts in your own"


@dataclass(frozen=True)
class Wrapping:
    """What goes around an environment.

    Args:
        env_kwargs: Arguments of the environment itself.
        wrappers: Innermost first: names of `lerobot_policy_ppo.env_wrappers`, or the user's `module:Class`.
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
        UsageError: One of `own` is not of that form.
    """
    wrong = [name for name in own if not all(name.partition(":"))]
    if wrong:
        raise UsageError(f"--wrapper {wrong[0]} does not name a wrapper", "name it like my_module:MyWrapper")
    mine = tuple(Wrapper(name) for name in own)
    if not recorded:
        return Wrapping(wrappers=mine)
    if not own:
        return Wrapping(environment.env_kwargs, applied(environment), tuple(wrapper_warnings(environment)))
    stack = applied(EnvironmentSpec(frame_stack=environment.frame_stack))
    return Wrapping(environment.env_kwargs, (*mine, *stack))


def env_id_of(environment: EnvironmentSpec, given: str | None) -> str:
    """Give the id that the user names, else that of the training.

    Raises:
        UsageError: There is none, or Gymnasium would import a module that only a file names.
    """
    env_id = given or environment.registered_id
    if env_id is None:
        known = f", which was {environment.env_id}" if environment.env_id else ""
        raise UsageError(f"the environment of the training{known} must be named with --env ID")
    return env_id


def wrap_env(env: "gymnasium.Env[Any, Any]", wrapping: Wrapping) -> "gymnasium.Env[Any, Any]":
    """Put wrappers around an environment.

    Raises:
        UsageError: A wrapper does not fit the environment, or the user's cannot be imported.
    """
    for wrapper in wrapping.wrappers:
        env = (_wrap_in_own if ":" in wrapper.name else _wrap_as_in_training)(env, wrapper)
    return env


def _wrap_as_in_training(env: "gymnasium.Env[Any, Any]", wrapper: Wrapper) -> "gymnasium.Env[Any, Any]":
    from lerobot_policy_ppo.env_wrappers import wrap

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
