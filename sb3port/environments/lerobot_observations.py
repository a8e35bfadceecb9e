"""What a policy sees of an environment of LeRobot: the numbers that `lerobot-eval` would show it.

LeRobot's environments give dictionaries of `agent_pos`, `environment_state`, `pixels` and more.
`lerobot-eval` puts them into batches (`preprocess_observation`), through the environment's own processors
(`get_env_processors`), and rounds all numbers to float32. The batch key of a part tells its name here, so
that a port finds it under that key again: `observation.state` is "state", `observation.images.top` is
"top", `observation.image` beside others is "observation_image". One state alone, or one image, is no Dict.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import UsageError
from sb3port.families.features import ONE_IMAGE
from sb3port.networks.gymnasium_spaces import is_image

Seen: TypeAlias = "dict[str, Array] | Array"

_RENAMED = {"agent_pos": "state"}
_IMAGES = "pixels"
_ALONE = ({"state"}, {ONE_IMAGE})


class AsShown:
    """How an environment without processors of its own is seen.

    Args:
        space: Of the environment's observations.
        name: What messages call the environment.

    Attributes:
        space: Of what is seen: float32, and images with their channels last.

    Raises:
        UsageError: There is something that no policy of SB3's takes.
    """

    def __init__(self, space: spaces.Space[Any], name: str) -> None:
        self._paths = dict(_paths(space, name))
        parts: dict[str, spaces.Space[Any]] = {
            key: _shown_space(_at(space, path)) for key, path in self._paths.items()
        }
        self._dtypes = {key: part.dtype for key, part in parts.items()}
        self._shapes = {key: part.shape for key, part in parts.items()}
        self._alone = set(parts) in _ALONE or not isinstance(space, spaces.Dict)
        self.space = next(iter(parts.values())) if self._alone else spaces.Dict(parts)

    def __call__(self, raw: Any) -> Seen:
        """Give what is seen of an observation."""
        seen = {
            key: np.asarray(_at(raw, path), self._dtypes[key]).reshape(self._shapes[key])
            for key, path in self._paths.items()
        }
        return next(iter(seen.values())) if self._alone else seen


class AsProcessed:
    """How an environment is seen whose processors change what it shows.

    Args:
        shown: Gives the batch of one that `lerobot-eval` would hand to a policy's own processors.
        first: An observation, from which the shapes are told; vectors are unbounded.
        name: What messages call the environment.

    Attributes:
        space: Of what is seen.

    Raises:
        UsageError: Nothing is left of it, or something that no policy of SB3's takes.
    """

    def __init__(self, shown: Callable[[Any], Mapping[str, Any]], first: Any, name: str) -> None:
        self._shown = shown
        seen = self._parts(first)
        _refuse(not seen, name, "shows nothing but texts and dictionaries")
        for key in seen:
            _refuse(
                "." in key, name, f"shows observation.{key}, which no policy of SB3's can be told apart by"
            )
        self._alone = set(seen) in _ALONE
        parts: dict[str, spaces.Space[Any]] = {key: _space_of_value(value) for key, value in seen.items()}
        self.space = next(iter(parts.values())) if self._alone else spaces.Dict(parts)

    def __call__(self, raw: Any) -> Seen:
        """Give what is seen of an observation."""
        seen = self._parts(raw)
        return next(iter(seen.values())) if self._alone else seen

    def _parts(self, raw: Any) -> dict[str, Array]:
        return {
            name: _image(key, value) if name != key.removeprefix("observation.") else value
            for key, value, name in _named(self._shown(raw))
        }


def _named(batch: Mapping[str, Any]) -> Iterator[tuple[str, Array, str]]:
    """Give the arrays of a batch of one, with their keys and what they are called here."""
    for key, value in batch.items():
        if not key.startswith("observation.") or not hasattr(value, "numpy"):
            continue
        array = value.detach().cpu().numpy()[0]
        if key == "observation.image":
            yield key, array, ONE_IMAGE
        elif key.startswith("observation.images."):
            yield key, array, key.removeprefix("observation.images.")
        else:
            yield key, np.asarray(array, np.float32), key.removeprefix("observation.")


def _image(key: str, value: Array) -> Array:
    """Give the pixels of one of LeRobot's images, floats `(C, H, W)` from 0 to 1: uint8 `(H, W, C)`."""
    if value.ndim != 3:
        raise UsageError(f"{key} of the environment has the shape {value.shape}, which is no image")
    return (value * 255.0).round().astype(np.uint8).transpose(1, 2, 0)


def _paths(space: spaces.Space[Any], name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give what is seen, each by its name with where it is in an observation."""
    if not isinstance(space, spaces.Dict):
        yield "", ()
        return
    found: set[str] = set()
    for key, path, part in _leaves(space):
        _refuse(isinstance(part, spaces.Dict), name, f"shows a dictionary under {'/'.join(path)}")
        _refuse("." in key or key in found, name, f"has no name of its own for {'/'.join(path)}")
        found.add(key)
        yield key, path


def _leaves(space: spaces.Dict) -> Iterator[tuple[str, tuple[str, ...], spaces.Space[Any]]]:
    for key, part in space.spaces.items():
        if key == _IMAGES and isinstance(part, spaces.Dict):
            yield from ((camera, (key, camera), image) for camera, image in part.spaces.items())
        else:
            yield (ONE_IMAGE if key == _IMAGES else _RENAMED.get(key, key)), (key,), part


def _refuse(wrong: bool, name: str, what: str) -> None:
    if wrong:
        raise UsageError(
            f"{name} {what}, so that no policy can be trained in it as it is",
            "choose other observations by its fields (such as obs_type), or train in a Gymnasium "
            "environment of your own",
        )


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        found = found[key]
    return found


def _shown_space(space: spaces.Space[Any]) -> spaces.Box:
    """Give the space of what LeRobot makes of a part: its images, or float32."""
    if isinstance(space, spaces.Box):
        if is_image(space):
            return space
        low, high = (bound.astype(np.float32) for bound in (space.low, space.high))
        return spaces.Box(low, high, dtype=np.float32)
    shape = space.shape or (1,)
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


def _space_of_value(value: Array) -> spaces.Box:
    if value.dtype == np.uint8:
        return spaces.Box(0, 255, value.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, value.shape, np.float32)
