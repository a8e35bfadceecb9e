"""Whether a policy can act in an environment: what that means, for every command and for LeRobot.

SB3 has no policy set to an environment whose spaces are not equal to the policy's, to the last bound
(`check_for_correct_spaces` in `stable_baselines3/common/utils.py`). Checkpoints outlive environments, though:
between one Gym and the next only bounds of observations changed, of which no policy computes anything. So:

- refused is what gives numbers another meaning: other kinds, shapes, numbers of choices or starts;
  observations that are missing; bounds of actions, to which they are clipped and scaled; integers for floats;
  other bounds of an image, or of three-dimensional floats that may be one;
- a sentence is said of other bounds of a vector, of observations that a policy does not look at, and of what
  SB3's `check_env` warns of: spaces that start elsewhere than at 0;
- the same are float32 and float64, an infinite bound and the largest float, an image with its channels first
  or last, and the keys of a Dict in any order.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, Protocol

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiDiscrete, Simple, Space, parts
from sb3port.errors import UsageError
from sb3port.networks.gymnasium_spaces import space_of

_HUGE = 1e30  # the largest float32 is what infinity was before; nothing is measured in such numbers
_HINT = "name the environment of the training, or wrap it as then with --wrapper module:Class"


class HasSpaces(Protocol):
    """An environment, or several of one kind."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]


class Sameness(IntEnum):
    """How far two spaces are the same, from best to worst."""

    SAME = 0
    OTHER_BOUNDS = 1
    OTHER = 2


def check_spaces(env: HasSpaces, spec: PolicySpec, env_id: str) -> tuple[str, ...]:
    """Compare the spaces of an environment with those of a policy, as the module says.

    Args:
        env: The environment.
        spec: The policy's.
        env_id: How the environment is called in sentences.

    Returns:
        Sentences on what is not as it was in the training, and may matter.

    Raises:
        UsageError: The policy would see or do something else than it learnt.
    """
    observed, wanted = env.observation_space, spec.observation_space
    if isinstance(wanted, Dict) and isinstance(observed, gymnasium.spaces.Dict):
        _refuse_missing(wanted, observed, env_id)
    found = {
        "observations": (wanted, observed, _observations(wanted, observed)),
        "actions": (spec.action_space, env.action_space, _actions(spec.action_space, env.action_space)),
    }
    return (
        *_of_extras(wanted, observed, env_id),
        *(said for name, pair in found.items() for said in _judged(env_id, name, *pair)),
        *(said for name, (want, _, _) in found.items() for said in _of_starts(name, want)),
    )


def _judged(
    env_id: str, name: str, want: Space, have: gymnasium.Space[Any], sameness: Sameness
) -> Iterator[str]:
    differs = f"{env_id} has the {name} {in_words(have)}, but the policy was trained with {want}"
    if sameness is Sameness.OTHER:
        raise UsageError(differs, _HINT)
    if sameness is Sameness.OTHER_BOUNDS:
        what = "they mean the same" if name == "observations" else "the environment takes them unclipped"
        yield f"{differs}; SB3 would refuse that, and here it is right only if {what}"


def _refuse_missing(want: Dict, have: gymnasium.spaces.Dict, env_id: str) -> None:
    if missing := [key for key in want.spaces if key not in have.spaces]:
        raise UsageError(
            f"{env_id} does not observe {', '.join(missing)}, which the policy was trained with, but "
            f"{', '.join(map(str, have.spaces))}",
            _HINT,
        )


def _of_extras(want: Space, have: gymnasium.Space[Any], env_id: str) -> Iterator[str]:
    if not isinstance(want, Dict) or not isinstance(have, gymnasium.spaces.Dict):
        return
    if extras := [str(key) for key in have.spaces if key not in want.spaces]:
        yield (
            f"{env_id} also observes {', '.join(extras)}, which the policy was not trained with and does not "
            "look at; SB3 would refuse that"
        )


def _of_starts(name: str, space: Space) -> Iterator[str]:
    effect = "refuses others" if name == "observations" else "gives no others to environments"
    for key, part in parts(space).items():
        if not starts_at_zero(part):
            yield f"the {f'{name} {key}'.strip()} are {part}, but SB3 counts choices from 0, and {effect}"


def starts_at_zero(space: Simple) -> bool:
    """Whether choices of a space count from 0, as SB3 has them; other spaces do."""
    return not (isinstance(space, Discrete | MultiDiscrete) and np.any(space.start))


def _observations(want: Space, have: gymnasium.Space[Any]) -> Sameness:
    """Compare what the policy looks at, for a Dict its keys, which the environment has."""
    pairs: Sequence[tuple[Simple, gymnasium.Space[Any]]]
    if isinstance(want, Dict):
        if not isinstance(have, gymnasium.spaces.Dict):
            return Sameness.OTHER
        pairs = [(part, have.spaces[key]) for key, part in want.spaces.items()]
    else:
        pairs = [(want, have)]
    return max((_observation(part, space) for part, space in pairs), default=Sameness.SAME)


def _observation(want: Simple, space: gymnasium.Space[Any]) -> Sameness:
    have = _plain(space)
    if have is None or not _same_choices(want, have):
        return Sameness.OTHER
    if not isinstance(want, Box) or not isinstance(have, Box):
        return Sameness.SAME
    if want.shape != have.shape:
        if not (have.is_image and want.shape == have.channels_first):
            return Sameness.OTHER
        have = _channels_first(have)
    if _is_normalised_image(want) and have.is_image:
        return Sameness.SAME
    return _observed_boxes(want, have)


def _observed_boxes(want: Box, have: Box) -> Sameness:
    """Compare Boxes of one shape."""
    same, may_be_image = same_bounds(want, have), len(want.shape) == 3
    if _is_integer(want) != _is_integer(have):
        # Floats would be cut to integers; integers for floats are the same numbers, but for images.
        return Sameness.OTHER if _is_integer(want) or may_be_image or not same else Sameness.OTHER_BOUNDS
    if want.is_image != have.is_image:
        return Sameness.OTHER
    if same:
        return Sameness.SAME
    return Sameness.OTHER if may_be_image else Sameness.OTHER_BOUNDS


def _actions(want: Space, space: gymnasium.Space[Any]) -> Sameness:
    have = _plain(space)
    if have is None or isinstance(want, Dict) or not _same_choices(want, have) or want.shape != have.shape:
        return Sameness.OTHER
    if not isinstance(want, Box) or not isinstance(have, Box):
        return Sameness.SAME
    if _is_integer(want) != _is_integer(have):
        return Sameness.OTHER
    if same_bounds(want, have):
        return Sameness.SAME
    # A policy that LeRobot trained knows the size of actions alone, and clips nothing.
    unbounded = all(np.isinf(_finite_or_infinite(bound)).all() for bound in (want.low, want.high))
    return Sameness.OTHER_BOUNDS if unbounded else Sameness.OTHER


def _same_choices(want: Simple, have: Simple) -> bool:
    """Whether spaces are of one kind, with as many choices that start where they did."""
    if type(want) is not type(have):
        return False
    if isinstance(want, Box):
        return True
    if isinstance(want, MultiDiscrete) and isinstance(have, MultiDiscrete):
        return np.array_equal(want.nvec, have.nvec) and np.array_equal(want.start, have.start)
    return want == have


def same_bounds(one: Box, other: Box) -> bool:
    """Whether Boxes of one shape have the same bounds, as near as `gymnasium.spaces.Box` compares them."""
    pairs = ((one.low, other.low), (one.high, other.high))
    return all(np.allclose(_finite_or_infinite(a), _finite_or_infinite(b)) for a, b in pairs)


def _finite_or_infinite(bound: Array) -> Array:
    numbers = bound.astype(np.float64)
    return np.where(np.abs(numbers) > _HUGE, np.copysign(np.inf, numbers), numbers)


def _is_integer(space: Box) -> bool:
    return np.dtype(space.dtype).kind in "iub"


def _is_normalised_image(space: Box) -> bool:
    """Whether VecNormalize made the space from that of an image, which is seen as it is before."""
    if len(space.shape) != 3 or _is_integer(space):
        return False
    limit = float(space.high.flat[0]) if space.high.size else 0.0
    return limit > 1 and bool((space.high == limit).all() and (space.low == -limit).all())


def _channels_first(space: Box) -> Box:
    low, high = (np.full(space.channels_first, bound.flat[0]) for bound in (space.low, space.high))
    return Box(space.channels_first, space.dtype, low, high)


def _plain(space: gymnasium.Space[Any]) -> Simple | None:
    """Describe a space; None where SB3 has no policies for it."""
    try:
        found = space_of(space)
    except ValueError:
        return None
    return None if isinstance(found, Dict) else found


def in_words(space: gymnasium.Space[Any]) -> str:
    """Name a space in one line, as `inspect` does."""
    if isinstance(space, gymnasium.spaces.Box):
        return str(Box(space.shape, space.dtype.name, space.low, space.high))
    return str(space)
