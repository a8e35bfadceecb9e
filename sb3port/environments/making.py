"""Gymnasium environments for policies: the one place where they are made, checked and looked at.

Observations are seen as SB3's vector environments store them: in the type of the space, images with their
channels first where the policy has them so.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Protocol, TypeAlias

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Simple, Space, parts
from sb3port.environments.wrapping import LEAVE_OUT, PLAIN, Wrapping, wrap_env
from sb3port.errors import UsageError
from sb3port.files.importing import working_folder_first

Env: TypeAlias = gymnasium.Env[Any, Any]

_FPS = 30
_KINDS = (
    (Box, gymnasium.spaces.Box),
    (Discrete, gymnasium.spaces.Discrete),
    (MultiDiscrete, gymnasium.spaces.MultiDiscrete),
    (MultiBinary, gymnasium.spaces.MultiBinary),
)


def make_env(
    env_id: str, spec: PolicySpec, render_mode: str | None = None, wrapping: Wrapping = PLAIN
) -> Env:
    """Make the environment that a policy shall act in.

    Args:
        env_id: A Gymnasium environment id.
        spec: The policy's.
        render_mode: As `gymnasium.make` takes it.
        wrapping: What goes around it.

    Raises:
        UsageError: There is none of this name, what it needs is not installed, what goes around it does not
            fit, or its spaces are not those of the policy.
    """
    # Not every environment can be told that it is not drawn.
    env = open_wrapped(env_id, wrapping, **({"render_mode": render_mode} if render_mode else {}))
    try:
        check_spaces(env, spec, env_id)
    except UsageError:
        env.close()
        raise
    return env


def open_wrapped(env_id: str, wrapping: Wrapping, **kwargs: Any) -> Env:
    """Make an environment with what goes around it, whatever its spaces.

    Args:
        env_id: A Gymnasium environment id.
        wrapping: What goes around it.
        kwargs: Of `gymnasium.make`.

    Raises:
        UsageError: There is none of this name, what it needs is not installed, or what goes around it does
            not fit.
    """
    plain = open_env(env_id, wrapping.env_kwargs, **kwargs)
    try:
        return wrap_env(plain, wrapping)
    except UsageError:
        plain.close()
        raise


def open_env(env_id: str, env_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> Env:
    """Make an environment, whatever its spaces.

    Args:
        env_id: A Gymnasium environment id; the module of `module:Id-v0` may lie in the working folder.
        env_kwargs: Its arguments in training.
        **kwargs: Other arguments.

    Raises:
        UsageError: There is none of this name, or what it needs is not installed.
    """
    gymnasium.logger.min_level = gymnasium.logger.ERROR  # what it warns of shows in what follows
    try:
        with working_folder_first() if ":" in env_id else nullcontext():
            return gymnasium.make(env_id, **kwargs, **(env_kwargs or {}))
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        if not env_kwargs:
            raise UsageError(f"the environment {env_id} cannot be made: {reason}") from error
        given = f"with {dict(env_kwargs)}, as in training"
        raise UsageError(f"the environment {env_id} cannot be made {given}: {reason}", LEAVE_OUT) from error


class HasSpaces(Protocol):
    """An environment, or several of one kind."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]


def check_spaces(env: HasSpaces, spec: PolicySpec, env_id: str) -> None:
    """Compare shapes and kinds: a policy for other spaces would run, and do nonsense.

    Raises:
        UsageError: The spaces are not those of the policy.
    """
    wanted = (spec.observation_space, spec.action_space)
    found = (env.observation_space, env.action_space)
    for name, want, have in zip(("observations", "actions"), wanted, found, strict=True):
        if not _is_same(want, have):
            raise UsageError(
                f"{env_id} has the {name} {_in_words(have)}, but the policy was trained with {want}",
                "name the environment of the training, or wrap it as then with --wrapper module:Class",
            )


def frames_per_second(env: Env) -> int:
    """Give the rate at which an environment is drawn, 30 where it does not say."""
    return int(env.metadata.get("render_fps") or _FPS)


def seen(space: Space, raw: Any) -> dict[str, Array]:
    """Give what a policy sees of one observation, by the keys of a Dict, under "" for any other space."""
    found = raw if isinstance(space, Dict) else {"": raw}
    return {key: _seen_part(part, found[key]) for key, part in parts(space).items()}


def action_mask(env: Env, spec: PolicySpec) -> Array | None:
    """Ask which actions are allowed, as sb3-contrib's MaskablePPO does; None for all."""
    if not spec.maskable or not env.has_wrapper_attr("action_masks"):
        return None
    return np.asarray(env.get_wrapper_attr("action_masks")(), bool).reshape(-1)


def given_action(spec: PolicySpec, action: Array) -> Any:
    """Give an action the form in which SB3 and sb3-contrib hand it to environments."""
    space = spec.action_space
    if isinstance(space, Discrete):
        return np.int64(action.item())
    if isinstance(space, MultiBinary) and not spec.maskable:
        action = action.astype(np.float32)
    return action.reshape(space.shape if not isinstance(space, Dict) else ())


def _seen_part(space: Simple, raw: Any) -> Array:
    dtype = {Box: getattr(space, "dtype", None), MultiBinary: np.int8}.get(type(space), np.int64)
    array = np.array(raw, dtype)  # a copy: environments may go on writing into theirs
    if array.shape != space.shape and isinstance(space, Box) and len(space.shape) == array.ndim == 3:
        return array.transpose(2, 0, 1)  # an image, if only before VecNormalize, which makes floats of it
    return array


def _is_same(want: Space, have: gymnasium.Space[Any]) -> bool:
    """Whether spaces are alike; the keys of a Dict in any order, an image with its channels first or last."""
    if isinstance(want, Dict) or isinstance(have, gymnasium.spaces.Dict):
        if not isinstance(want, Dict) or not isinstance(have, gymnasium.spaces.Dict):
            return False
        return set(want.spaces) <= set(have) and all(_is_same(want.spaces[k], have[k]) for k in want.spaces)
    if not any(isinstance(want, ours) and isinstance(have, theirs) for ours, theirs in _KINDS):
        return False
    choices = [np.asarray(getattr(space, name, None)) for name in ("n", "nvec") for space in (want, have)]
    same = np.array_equal(choices[0], choices[1]) and np.array_equal(choices[2], choices[3])
    return want.shape in (have.shape, _channels_first(have)) and same


def _channels_first(space: gymnasium.Space[Any]) -> tuple[int, ...] | None:
    if not isinstance(space, gymnasium.spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    return (space.shape[2], *space.shape[:2])


def _in_words(space: gymnasium.Space[Any]) -> str:
    """Name a space in one line, as `inspect` does."""
    if isinstance(space, gymnasium.spaces.Box):
        return str(Box(space.shape, space.dtype.name, space.low, space.high))
    return str(space)
