"""Environments that a script hands over: made ones, functions that make them, and vector environments.

What SB3's `make_vec_env` gives, and Gymnasium's `SyncVectorEnv`, hold their environments in `envs`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import gymnasium

from sb3port.checkpoint.checkpoint import EnvironmentSpec
from sb3port.checkpoint.plain import is_plain
from sb3port.environments.given import Around
from sb3port.environments.making import Env
from sb3port.environments.wrapping import wrap_env, wrapping_in
from sb3port.errors import UsageError

MakeEnv: TypeAlias = Callable[[], Env]
HandedOver: TypeAlias = "Env | Callable[..., Env] | Sequence[Env | Callable[..., Env]] | Any"

# What goes around an environment without changing what a policy sees, does or gets.
_CHANGES_NOTHING = {"OrderEnforcing", "PassiveEnvChecker", "TimeLimit", "Monitor", "RecordEpisodeStatistics"}


@dataclass(frozen=True)
class OwnEnvironments:
    """Environments that a script hands over.

    Args:
        environment: By what Gymnasium knows them, and what goes around them; without an id where that would
            not give the same environment.
        makers: One for each that is there; one alone, where `repeats`, for as many as are wanted.
        repeats: Whether the one maker makes any number.
        again: Makes one more, None where all are made already.
    """

    environment: EnvironmentSpec
    makers: tuple[MakeEnv, ...]
    repeats: bool = False
    again: MakeEnv | None = None

    @property
    def count(self) -> int | None:
        """How many there are, None for as many as are wanted."""
        return None if self.repeats else len(self.makers)

    def make(self) -> MakeEnv:
        """Give what makes the first, then the second, and so on."""
        if self.repeats:
            return self.makers[0]
        left = iter(self.makers)

        def make_next() -> Env:
            return next(left)()

        return make_next


def handed_over(env: HandedOver, around: Around) -> OwnEnvironments:
    """Take over what a script gives in place of the id of an environment.

    Args:
        env: An environment, a function that makes one, several of either, or a vector environment with
            `envs`.
        around: What goes around it.

    Raises:
        UsageError: It is none of these, or arguments are given for environments that are made already.
    """
    several = _several(env)
    functions = [one for one in several if not isinstance(one, gymnasium.Env)]
    if around.env_kwargs and len(functions) < len(several):
        raise UsageError(
            "env_kwargs are for environments that are yet to be made",
            "make the environment with them, or give a function that makes it",
        )
    makers = tuple(partial(_make, one, around) for one in several)
    again = partial(_make, functions[0], around) if functions else None
    repeats = functions == several and not isinstance(env, list | tuple)
    return OwnEnvironments(_known(several[0], around), makers, repeats, again)


def _several(env: HandedOver) -> list[Any]:
    several = list(env) if isinstance(env, list | tuple) else [env]
    if len(several) == 1 and not isinstance(env, gymnasium.Env) and hasattr(env, "num_envs"):
        # What is around a vector environment, such as VecNormalize, would be left out.
        several = [] if {"venv", "env"} & set(vars(env)) else list(getattr(env, "envs", ()))
        if not several:
            raise UsageError(
                f"a {type(env).__name__} does not show its environments",
                "give a DummyVecEnv, or a function that makes one environment; normalising is an option",
            )
    for one in several:
        if not isinstance(one, gymnasium.Env) and not callable(one):
            raise UsageError(
                f"a {type(one).__name__} is no environment",
                "give an id, an environment of Gymnasium's kind, or a function that makes one",
            )
    if not several:
        raise UsageError("there is no environment in the list", "give at least one")
    return several


def _make(one: Any, around: Around) -> Env:
    return wrap_env(_made(one, around), wrapping_in(_around(None, {}, around)))


def _made(one: Any, around: Around) -> Env:
    env = one if isinstance(one, gymnasium.Env) else one(**around.env_kwargs)
    if not isinstance(env, gymnasium.Env):
        raise UsageError(
            f"the function made a {type(env).__name__}, which is no environment",
            "let it return one environment of Gymnasium's kind",
        )
    return env


def _known(one: Any, around: Around) -> EnvironmentSpec:
    """Give by what an environment can be made again, without its id where that is not all."""
    env = _made(one, around)
    spec, within = env.spec, env
    names = set()
    while isinstance(within, gymnasium.Wrapper):
        names.add(type(within).__name__)
        within = within.env
    if env is not one:
        env.close()
    kwargs = {} if spec is None else {k: v for k, v in spec.kwargs.items() if k != "render_mode"}
    if spec is None or names - _CHANGES_NOTHING or not is_plain(kwargs):
        return _around(None, around.env_kwargs, around)
    return _around(spec.id, {**kwargs, **around.env_kwargs}, around)


def _around(env_id: str | None, kwargs: Mapping[str, Any], around: Around) -> EnvironmentSpec:
    return EnvironmentSpec(env_id, kwargs, around.wrappers, around.frame_stack, ("training",))
