"""Gymnasium environments for policies: the one place where they are made, checked and looked at.

Observations are seen as SB3's vector environments store them: in the type of the space, images with their
channels first where the policy has them so.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypeAlias

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, Simple, Space, parts
from sb3port.environments.same_spaces import check_spaces
from sb3port.environments.wrapping import LEAVE_OUT, PLAIN, Wrapping, wrap_env
from sb3port.errors import UsageError
from sb3port.families.environment_ids import lerobot_id
from sb3port.files.importing import working_folder_first

Env: TypeAlias = gymnasium.Env[Any, Any]

_FPS = 30
EPISODE_LENGTH = 1000
"""Steps after which an episode is cut where no time limit does it: some policies never come to an end."""


def make_env(
    env_id: str,
    spec: PolicySpec,
    render_mode: str | None = None,
    wrapping: Wrapping = PLAIN,
    max_episode_steps: int | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Env:
    """Make the environment that a policy shall act in.

    Args:
        env_id: A Gymnasium environment id.
        spec: The policy's.
        render_mode: As `gymnasium.make` takes it.
        wrapping: What goes around it.
        max_episode_steps: A time limit in place of the one that it is registered with.
        warn: Called with a sentence for each thing that is not as it was in the training.

    Raises:
        UsageError: There is none of this name, what it needs is not installed, what goes around it does not
            fit, or its spaces are not those of the policy.
    """
    # Not every environment can be told that it is not drawn.
    given = {"render_mode": render_mode, "max_episode_steps": max_episode_steps}
    env = open_wrapped(
        env_id, wrapping, **{name: value for name, value in given.items() if value is not None}
    )
    try:
        for sentence in check_spaces(env, spec, env_id):
            warn(sentence)
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
        env_id: A Gymnasium environment id; the module of `module:Id-v0` may lie in the working folder. Or one
            of LeRobot's, `lerobot:type`.
        env_kwargs: Its arguments, of the training or of the user.
        **kwargs: Other arguments.

    Raises:
        UsageError: There is none of this name, or what it needs is not installed.
    """
    gymnasium.logger.min_level = gymnasium.logger.ERROR  # what it warns of shows in what follows
    if (found := lerobot_id(env_id)) is not None:
        from sb3port.environments.lerobot_environments import open_lerobot_env

        return open_lerobot_env(found, env_kwargs or {}, **kwargs)
    try:
        with working_folder_first() if ":" in env_id else nullcontext():
            return gymnasium.make(env_id, **{**(env_kwargs or {}), **kwargs})
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        if not env_kwargs:
            raise UsageError(f"the environment {env_id} cannot be made: {reason}") from error
        given = f"with {dict(env_kwargs)}"
        raise UsageError(f"the environment {env_id} cannot be made {given}: {reason}", LEAVE_OUT) from error


def time_limit(env: Env) -> int | None:
    """Give the steps after which an episode is cut, or None where nobody says."""
    if env.has_wrapper_attr("_max_episode_steps"):
        return int(env.get_wrapper_attr("_max_episode_steps"))
    if env.spec is None:
        return None
    # Atari's environments count frames, at least one for each step.
    return env.spec.max_episode_steps or env.spec.kwargs.get("max_num_frames_per_episode")


def frames_per_second(env: Env) -> int:
    """Give the rate at which an environment is drawn, 30 where it does not say."""
    return int(env.metadata.get("render_fps") or _FPS)


def seen(space: Space, raw: Any) -> dict[str, Array]:
    """Give what a policy sees of one observation, by the keys of a Dict, under "" for any other space.

    Raises:
        UsageError: It is not an observation of this space.
    """
    found = raw if isinstance(space, Dict) else {"": raw}
    if not isinstance(found, Mapping) or not set(parts(space)) <= set(found):
        is_dictionary = isinstance(found, Mapping)
        keys = f"a dictionary of {', '.join(map(str, found))}" if is_dictionary else f"a {type(raw).__name__}"
        raise UsageError(f"the observation of the environment is {keys}, but its space is {space}")
    return {key: _seen_part(key, part, found[key]) for key, part in parts(space).items()}


def given_action(spec: PolicySpec, action: Array) -> Any:
    """Give an action the form in which SB3 and sb3-contrib hand it to environments."""
    space = spec.action_space
    if isinstance(space, Discrete):
        return np.int64(action.item())
    if isinstance(space, MultiBinary) and not spec.maskable:
        action = action.astype(np.float32)
    return action.reshape(space.shape if not isinstance(space, Dict) else ())


def _seen_part(key: str, space: Simple, raw: Any) -> Array:
    dtype = {Box: getattr(space, "dtype", None), MultiBinary: np.int8}.get(type(space), np.int64)
    try:
        array = np.array(raw, dtype)  # a copy: environments may go on writing into theirs
    except (TypeError, ValueError) as error:
        raise UsageError(f"{_named(key)} is a {type(raw).__name__}, which is no {space}") from error
    if array.shape == space.shape:
        return array
    if isinstance(space, Box) and len(space.shape) == 3 and array.shape == _channels_last(space):
        return array.transpose(2, 0, 1)  # an image, if only before VecNormalize, which makes floats of it
    return _stored(key, space, array)


def _stored(key: str, space: Simple, array: Array) -> Array:
    """Give an observation the shape of its space, where SB3 can store it in an array of that shape."""
    room = np.empty(space.shape, array.dtype)
    try:
        room[...] = array.reshape(()) if array.size == 1 else array
    except ValueError as error:
        wrong = f"{_named(key)} has the shape {array.shape}, but its space is {space}"
        raise UsageError(wrong) from error
    return room


def _named(key: str) -> str:
    return f"the observation {key!r} of the environment" if key else "the observation of the environment"


def _channels_last(space: Box) -> tuple[int, ...]:
    channels, height, width = space.channels_first
    return height, width, channels
