"""Vector environments: those that step many at once by themselves, not one after the other.

Gymnasium's `make_vec` makes them of an environment that is registered with a `vector_entry_point`; EnvPool
brings its own. When an episode ends, its last observation has to be there beside the first one of the next
episode, so that its value counts where a time limit cut it off, as it does in SB3. Gymnasium knows three
modes (`AutoresetMode`):

- "SameStep" gives both in one step;
- "Disabled" does so when it is told which environments to reset;
- "NextStep" gives the first observation one step later, for an action that is thrown away: a transition that
  SB3 does not have. It is refused, but for Gymnasium's CartPole, of which we have one of the first kind.
"""

import inspect
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Box, Simple, Space, parts
from sb3port.environments.making import Env, open_env
from sb3port.environments.same_spaces import same_bounds
from sb3port.environments.wrapping import Wrapping
from sb3port.errors import UsageError
from sb3port.families.environment_ids import lerobot_id
from sb3port.networks.gymnasium_spaces import space_of

Vector: TypeAlias = "VectorEnv[Any, Any, Any]"

SAME_STEP, DISABLED, _NEXT_STEP = "SameStep", "Disabled", "NextStep"
_OTHER = "take --vec-env dummy, which steps single environments"
_OURS = {
    "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv": (
        "sb3port.environments.vector_cartpole:SameStepCartPole"
    )
}


def open_vector(env_id: str, count: int, wrapping: Wrapping) -> Vector:
    """Make the vector environment that an environment is registered with.

    Args:
        env_id: A Gymnasium environment id.
        count: How many environments.
        wrapping: What goes around each; wrappers are refused.

    Raises:
        UsageError: There is none, it cannot be made, or what it gives is not what training needs.
    """
    return opened(env_id, wrapping, lambda spec: _open(spec, count, wrapping))


def opened(env_id: str, wrapping: Wrapping, make: Callable[[EnvSpec], Vector]) -> Vector:
    """Make a vector environment of the same spaces as the single one, in which policies are evaluated.

    Raises:
        UsageError: There is none, there are wrappers, or the spaces differ.
    """
    if wrapping.wrappers:
        raise UsageError(
            f"vector environments step all at once, and {', '.join(wrapping.names)} goes around single ones",
            _OTHER,
        )
    if lerobot_id(env_id) is not None:
        raise UsageError(f"{env_id} is stepped as LeRobot makes it, one after the other", _OTHER)
    single = open_env(env_id, wrapping.env_kwargs, disable_env_checker=True)
    try:
        assert single.spec is not None
        vector = make(gymnasium.registry[single.spec.id])
        _refuse_other_spaces(vector, single, env_id)
    finally:
        single.close()
    return vector


def mode_of(vector: Vector) -> str:
    """Give the name of the mode in which it begins the next episode."""
    mode = vector.metadata.get("autoreset_mode", _NEXT_STEP)
    return str(getattr(mode, "value", mode))


def last_seen(observations: Array, ended: NDArray[np.bool_]) -> dict[str, Any]:
    """Give the info with the last observations of episodes, in Gymnasium's form.

    Args:
        observations: What each environment showed last, `(n, ...)`.
        ended: Which episodes are over, `(n,)`.
    """
    rows = np.full(len(ended), None, object)
    for index in np.flatnonzero(ended):
        rows[index] = observations[index]
    return {"final_obs": rows, "_final_obs": ended}


def _open(spec: EnvSpec, count: int, wrapping: Wrapping) -> Vector:
    if spec.vector_entry_point is None:
        raise UsageError(f"{spec.id} is registered without a vector environment", _OTHER)
    spec = deepcopy(spec)
    entry = spec.vector_entry_point = _OURS.get(str(spec.vector_entry_point), spec.vector_entry_point)
    try:
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
        given = {**wrapping.env_kwargs, **_mode(creator)}
        vector: Vector = gymnasium.make_vec(spec, count, "vector_entry_point", **given)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise UsageError(f"the vector environment of {spec.id} cannot be made: {reason}", _OTHER) from error
    if mode_of(vector) not in (SAME_STEP, DISABLED):
        vector.close()
        raise UsageError(
            f"the vector environment of {spec.id} begins an episode one step after it ended the last "
            "(AutoresetMode.NEXT_STEP), which is a step that SB3 does not have",
            _OTHER,
        )
    return vector


def _mode(creator: Any) -> dict[str, Any]:
    """Ask for both observations in one step, of a vector environment that can be asked."""
    known = "autoreset_mode" in inspect.signature(creator).parameters
    return {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP} if known else {}


def _refuse_other_spaces(vector: Vector, single: Env, env_id: str) -> None:
    pairs = (
        ("observes", vector.single_observation_space, single.observation_space),
        ("takes", vector.single_action_space, single.action_space),
    )
    for verb, found, expected in pairs:
        if not _are_same(space_of(found), space_of(expected), verb == "takes"):
            vector.close()
            raise UsageError(
                f"the vector environment of {env_id} {verb} {found}, and a single one {expected}", _OTHER
            )


def _are_same(one: Space, other: Space, with_bounds: bool) -> bool:
    """Whether spaces hold the same numbers; nothing is computed of bounds of observations."""
    ours, theirs = parts(one), parts(other)
    if type(one) is not type(other) or set(ours) != set(theirs):
        return False
    return all(_are_same_parts(part, theirs[key], with_bounds) for key, part in ours.items())


def _are_same_parts(one: Simple, other: Simple, with_bounds: bool) -> bool:
    if not isinstance(one, Box) or not isinstance(other, Box):
        return one == other
    kinds = np.dtype(one.dtype).kind, np.dtype(other.dtype).kind
    same = one.shape == other.shape and kinds[0] == kinds[1]
    return same and (not with_bounds or same_bounds(one, other))
