"""Demonstrations: what was seen and done, in a recording of `sb3port record` or any LeRobotDataset that fits.

What counts is what the environment was given: `taken_action` of an `.npz`, or `action` where that is the
same, and the column `action` of a dataset.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sb3port.checkpoint import spaces
from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiDiscrete, Simple
from sb3port.errors import NotPortable
from sb3port.files.budget import budget, factor
from sb3port.networks.observations import Observations, ObservationSet
from sb3port.parity.observations.datasets import dataset_actions, dataset_observations
from sb3port.parity.observations.recorded import recorded_array, recorded_observations
from sb3port.parity.observations.unpacked import Unpacked

_TAKEN = ("taken_action", "action")


@dataclass(frozen=True)
class Demonstrations:
    """N steps of somebody who knows how.

    Args:
        observations: Raw, with masks.
        actions: What the environment was given, `(N, *shape)`, for a Discrete `(N,)`.
    """

    observations: Observations
    actions: Array

    def __len__(self) -> int:
        return len(self.actions)


def read_demonstrations(path: Path, spec: PolicySpec) -> Demonstrations:
    """Read demonstrations, all of them.

    Args:
        path: An `.npz`, or the folder of a LeRobotDataset.
        spec: The policy that is to learn from them, without a memory.

    Raises:
        UsageError: There is none, or pyarrow is missing.
        NotPortable: It is damaged, or holds observations or actions of another kind than the policy's.
    """
    if path.is_dir():
        found, actions = dataset_observations(path, spec), dataset_actions(path)
    else:
        found, actions = _of_file(path, spec)
    batches = _batches(found, path)
    parts = {key: np.concatenate([batch.parts[key] for batch in batches]) for key in batches[0].parts}
    for key, space in spaces.parts(spec.observation_space).items():
        _refuse_observations(parts[key], space, path)
    masks = [batch.masks for batch in batches if batch.masks is not None]
    shown = Observations(parts, masks=np.concatenate(masks).astype(np.bool_) if masks else None)
    fitting = _fitting(actions, spec, len(shown), path)
    if shown.masks is not None:
        _refuse_forbidden(fitting, shown.masks, spec, path)
    return Demonstrations(shown, fitting)


def _of_file(path: Path, spec: PolicySpec) -> tuple[ObservationSet, Array]:
    """Read an `.npz`: what its observations are, and its actions, each by limits of its own."""
    with budget(factor()):
        found = recorded_observations(path, spec)
    with budget(factor()):
        return found, recorded_array(path, _TAKEN, "actions")


def _batches(found: ObservationSet, path: Path) -> list[Observations]:
    """Read all observations, so far as they are no more than files of such a size hold."""
    files = path.rglob("*.parquet") if path.is_dir() else (path,)
    unpacked = Unpacked(path, sum(file.stat().st_size for file in files))
    batches = []
    with budget(factor()):
        for batch in found.batches():
            unpacked.take(sum(array.nbytes for array in batch.inputs.values()))
            batches.append(replace(batch, recorded={}))
    return batches


def _refuse_observations(seen: Array, space: Simple, path: Path) -> None:
    """Refuse what policies cannot see.

    Raises:
        NotPortable: It is infinite in numbers of 32 bits, or none of the choices or colours that there are.
    """
    if seen.dtype == np.uint8 and isinstance(space, Box):  # there may be gigabytes of pictures
        return
    if not np.isfinite(_in_32_bits(seen)).all():
        raise NotPortable(f"{path} holds observations that are infinite in numbers of 32 bits")
    if not isinstance(space, Box):
        beyond = _choices(space)
    elif space.is_image:
        beyond = np.array(256)
    else:
        return
    if not _is_below(seen, beyond):
        raise NotPortable(f"{path} holds observations that are none of {space}")


def _fitting(actions: Array, spec: PolicySpec, count: int, path: Path) -> Array:
    """Give actions in the shape of their space.

    Raises:
        NotPortable: They are not of the policy's action space.
    """
    space = spec.action_space
    assert not isinstance(space, Dict)
    if actions.shape[:1] != (count,) or actions.size != count * space.size:
        raise NotPortable(f"{path} holds actions of shape {actions.shape}, but the policy's are {space}")
    shaped = actions.reshape(count, *space.shape)
    if not np.isfinite(narrow := _in_32_bits(shaped)).all():
        raise NotPortable(f"{path} holds actions that are NaN or infinite")
    if isinstance(space, Box):
        return narrow
    if not _is_below(shaped, _choices(space)):
        raise NotPortable(f"{path} holds actions that are none of {space}")
    return shaped.astype(np.int64)


def _refuse_forbidden(actions: Array, masks: Array, spec: PolicySpec, path: Path) -> None:
    """Refuse to learn what is not allowed there, which the policy never does.

    Raises:
        NotPortable: An action is one that its mask forbids.
    """
    space = spec.action_space
    assert not isinstance(space, Dict | Box)
    rows = actions.reshape(len(actions), -1)
    sizes = np.broadcast_to(_choices(space).reshape(-1), rows.shape[1:])
    begins = np.cumsum(sizes) - sizes  # of each element among all choices, which follow one another
    if not np.take_along_axis(masks, rows + begins, axis=1).all():
        raise NotPortable(f"{path} holds actions that its own masks forbid")


def _choices(space: Simple) -> Array:
    """Say how many choices there are, of each element or of all."""
    match space:
        case Discrete():
            return np.array(space.n)
        case MultiDiscrete():
            return space.nvec
        case _:
            return np.array(2)


def _is_below(values: Array, beyond: Array) -> bool:
    """Whether all are whole numbers from 0 to below something."""
    return bool(((values >= 0) & (values < beyond) & (values == np.floor(values))).all())


def _in_32_bits(values: Array) -> Array:
    """Give numbers as policies compute with them: those that are too large become infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)
