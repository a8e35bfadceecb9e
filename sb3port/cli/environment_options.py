"""The options that say in which environment a command works, and what goes around it."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from sb3port.cli.values import environment_ids, whole_number
from sb3port.errors import need

if TYPE_CHECKING:
    from sb3port.environments.given import Around

OF_THE_TRAINING = (
    "Gymnasium environment, such as Pendulum-v1, or LeRobot's, such as lerobot:pusht; by default that of the "
    "training, if known."
)
_ENV_KWARGS = "--env-kwargs"
_KEY_VALUE = re.compile(r"[A-Za-z_]\w*[:=](?!//).+", re.ASCII | re.DOTALL)

_Texts = list[str] | None
_OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    (
        "env_kwargs",
        Annotated[
            _Texts,
            typer.Option(
                _ENV_KWARGS,
                metavar="DICT|KEY:VALUE",
                help="Arguments of the environment, such as continuous=True, before those of the training.",
                show_default=False,
            ),
        ],
        None,
    ),
    (
        "wrapper",
        Annotated[
            _Texts,
            typer.Option(
                "--wrapper",
                metavar="NAME[:DICT]",
                help="Wrapper in place of those of the training: ours and Gymnasium's by name, your own as "
                "module:Class, with arguments like 'FrameSkip(skip=4)'; repeatable, innermost first.",
                show_default=False,
            ),
        ],
        None,
    ),
    (
        "frame_stack",
        Annotated[
            int | None,
            typer.Option(
                "--frame-stack",
                metavar="N",
                parser=whole_number(1, 1000),
                help="Put N observations together, as SB3's VecFrameStack does, outside of all wrappers.",
                show_default=False,
            ),
        ],
        None,
    ),
    (
        "no_wrappers",
        Annotated[
            bool,
            typer.Option(
                "--no-wrappers",
                help="Leave out the arguments and wrappers that the environment had in training.",
            ),
        ],
        False,
    ),
)

R = TypeVar("R")


def with_environment(
    name: str, env_help: str = OF_THE_TRAINING
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command the options of environments; it gets them, checked, as `env` and `around`.

    That is before anything of torch is loaded, so that a wrong word costs no time.

    Args:
        name: How messages call the command.
        env_help: What `--env` is for.
    """
    env = Annotated[
        str | None,
        typer.Option(
            "--env", metavar="ID", help=env_help, show_default=False, autocompletion=environment_ids
        ),
    ]
    options = (("env", env, None), *_OPTIONS)

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        def run(**arguments: Any) -> R:
            given = {option: arguments.pop(option) for option, _, _ in options}
            if any(given.values()):
                need("torch", name)  # which is where Gymnasium comes from
            return command(env=_id(given.pop("env")), around=_around(given), **arguments)

        signature = inspect.signature(command)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name != "env":  # all stand where `around` does
                several = map(_parameter, options) if parameter.name == "around" else [parameter]
                parameters += (p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in several)
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__ = command.__doc__
        return run

    return decorate


def _parameter(option: tuple[str, Any, Any]) -> inspect.Parameter:
    name, annotation, default = option
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _id(env: str | None) -> str | None:
    from sb3port.environments.choosing import check_id

    return None if env is None else check_id(env)


def _around(given: dict[str, Any]) -> "Around":
    from sb3port.environments.given import around, read_env_kwargs

    env_kwargs = read_env_kwargs(given["env_kwargs"] or ())
    return around(env_kwargs, given["wrapper"] or (), given["frame_stack"], not given["no_wrappers"])


def repeated(words: Sequence[str]) -> list[str]:
    """Give a command line in which every `key:value` after `--env-kwargs` has the option before it.

    rl_zoo3 takes several after one.
    """
    found: list[str] = []
    for word in words:
        if found[-2:-1] == [_ENV_KWARGS] and _KEY_VALUE.fullmatch(word) and _KEY_VALUE.fullmatch(found[-1]):
            found.append(_ENV_KWARGS)
        found.append(word)
    return found


def completed(words: Sequence[str], more: Sequence[str]) -> list[str]:
    """Give a command line with options that replace those of the same names in it.

    Args:
        words: The command line.
        more: Names of options and their values in turn; `--env-kwargs` is added to what is there.
    """
    replaced = set(more[::2]) - {_ENV_KWARGS}
    kept: list[str] = []
    skips = False
    for word in words:
        if not skips and word.partition("=")[0] not in replaced:
            kept.append(word)
        skips = not skips and word in replaced
    return [*kept, *more]
