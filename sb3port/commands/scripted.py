"""What a script says of a training, as the commands take it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sb3port.commands.policies import ReadArguments
from sb3port.commands.training_arguments import RunOptions
from sb3port.environments.choosing import check_id
from sb3port.environments.given import Around
from sb3port.environments.handed_over import HandedOver, OwnEnvironments, handed_over
from sb3port.environments.making import open_wrapped
from sb3port.environments.wrapping import wrapping_in
from sb3port.errors import UsageError, did_you_mean
from sb3port.ppo.runs.recipes import Recipe

if TYPE_CHECKING:
    from sb3port.ppo.rollout.episodes import MakeEnv

_RECIPE = ("bc_epochs", "critic_warmup", "demonstrations", "kl_coef")
_NAMES = (
    *_RECIPE,
    "device",
    "engine",
    "eval_episodes",
    "eval_every",
    "eval_seed",
    "save_every",
    "track",
    "use_masking",
    "vec_env",
    "video_every",
)


class Where(NamedTuple):
    """Where a training happens.

    Args:
        env: The id of the environment, None for that of an earlier training, or for `own`.
        own: What the script hands over in its place.
        make: Makes the environment of evaluations and films; None for one like those of the training.
    """

    env: str | None
    own: OwnEnvironments | None
    make: "MakeEnv | None"


def where(env: "str | HandedOver | None", eval_env: "str | HandedOver | None", around: Around) -> Where:
    """Tell environments from ids.

    Raises:
        UsageError: It is neither, or there is no such environment.
    """
    if isinstance(env, str) or env is None:
        env_id, own = None if env is None else check_id(env), None
    else:
        env_id, own = None, handed_over(env, around)
    if eval_env is None:
        return Where(env_id, own, None if own is None else own.again)
    if not isinstance(eval_env, str):
        return Where(env_id, own, handed_over(eval_env, around).makers[0])
    known = wrapping_in(own.environment if own else _beside(around))
    return Where(env_id, own, partial(open_wrapped, check_id(eval_env), known))


def run_options(place: Where, around: Around, run: Mapping[str, Any], **fields: Any) -> RunOptions:
    """Put together `RunOptions`.

    Args:
        place: Where it happens.
        around: What goes around the environment.
        run: As `RunArguments` names it.
        fields: Others of `RunOptions`.

    Raises:
        UsageError: A name is unknown; or there is nowhere to evaluate, and evaluations are wanted.
    """
    if unknown := sorted(set(run) - {*_NAMES, "seed"}):
        hint = did_you_mean(unknown[0], _NAMES, f"known: {', '.join(_NAMES)}")
        raise UsageError(f"there is no argument {unknown[0]}", hint)
    recipe = {name: run[name] for name in _RECIPE if name in run}
    settings = {name: value for name, value in run.items() if name not in recipe}
    settings["track"] = _words(run.get("track", ()))
    if place.own is not None and place.make is None:
        wanted = [name for name in ("eval_every", "eval_episodes", "video_every") if settings.get(name)]
        if wanted:
            raise UsageError(
                f"{wanted[0]} needs an environment beside that of the training, which is made already",
                "give a function that makes it, or another one as eval_env",
            )
        settings["eval_episodes"] = 0
    config, every = fields.pop("config", None), settings.pop("save_every", None)
    return RunOptions(
        env=place.env,
        own=place.own,
        around=around,
        config=None if config is None else Path(config),
        save_every=every,
        run=settings,
        recipe=_recipe(**recipe),
        **{**fields, "given": fields.get("given") or {}},
    )


def divided(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell arguments that say how a port is read from those that say how a run goes."""
    reading = {name: value for name, value in arguments.items() if name in ReadArguments.__annotations__}
    return reading, {name: value for name, value in arguments.items() if name not in reading}


def _recipe(demonstrations: str | Path | None = None, **others: Any) -> Recipe:
    return Recipe(demonstrations=None if demonstrations is None else Path(demonstrations), **others)


def _words(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _beside(around: Around) -> Any:
    from sb3port.checkpoint.checkpoint import EnvironmentSpec

    return EnvironmentSpec(None, around.env_kwargs, around.wrappers, around.frame_stack)
