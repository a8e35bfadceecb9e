"""Putting around an environment what was around that of the training, or what the user wants instead."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sb3port.checkpoint.checkpoint import EnvironmentSpec, Wrapper
from sb3port.errors import UsageError
from sb3port.families.environment_ids import lerobot_id
from sb3port.families.wrappers import applied, is_own, wrapper_warnings
from sb3port.files.importing import working_folder_first

if TYPE_CHECKING:
    import gymnasium

LEAVE_OUT = (
    "--env-kwargs, --wrapper and --frame-stack say otherwise; --no-wrappers leaves out what is noted of the "
    "training"
)


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


def wrapping_in(environment: EnvironmentSpec) -> Wrapping:
    """Give what goes around an environment that was chosen; see `choosing`, which refuses what is strange."""
    return Wrapping(environment.env_kwargs, applied(environment), tuple(wrapper_warnings(environment)))


def beyond_lerobot(environment: EnvironmentSpec) -> list[str]:
    """Say what is around an environment of LeRobot's that `lerobot-eval` cannot put there."""
    if not applied(environment) or lerobot_id(environment.env_id or "") is None:
        return []
    names = ", ".join(Wrapping(wrappers=applied(environment)).names)
    return [f"lerobot-eval puts no {names} around {environment.env_id}: evaluate with sb3port eval"]


def wrap_env(env: "gymnasium.Env[Any, Any]", wrapping: Wrapping) -> "gymnasium.Env[Any, Any]":
    """Put wrappers around an environment.

    Raises:
        UsageError: A wrapper does not fit the environment, or the user's cannot be imported.
    """
    for wrapper in wrapping.wrappers:
        env = (_wrap_in_own if is_own(wrapper) else _wrap_in_ours)(env, wrapper)
    return env


def _wrap_in_ours(env: "gymnasium.Env[Any, Any]", wrapper: Wrapper) -> "gymnasium.Env[Any, Any]":
    from sb3port.environments.wrappers import wrap

    try:
        return wrap(env, wrapper.name, wrapper.kwargs)
    except ValueError as error:
        raise UsageError(f"the environment cannot be wrapped: {error}", LEAVE_OUT) from error


def _wrap_in_own(env: "gymnasium.Env[Any, Any]", wrapper: Wrapper) -> "gymnasium.Env[Any, Any]":
    """Import a class of the user's, from the working folder, too, and wrap an environment in it."""
    module, _, attribute = wrapper.name.partition(":")
    try:
        with working_folder_first():
            made = getattr(importlib.import_module(module), attribute)
            wrapped: gymnasium.Env[Any, Any] = made(env, **wrapper.kwargs)
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"--wrapper {_in_words(wrapper)} does not work: {error!r}") from error
    return wrapped


def _in_words(wrapper: Wrapper) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in wrapper.kwargs.items())
    return f"{wrapper.name}({arguments})" if arguments else wrapper.name
