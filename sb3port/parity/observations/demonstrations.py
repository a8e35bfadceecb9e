"""Demonstrations: what was seen and done, in a recording of `sb3port record` or any LeRobotDataset that fits.

What counts is what the environment was given: `taken_action` of an `.npz`, or `action` where that is the
same, and the column `action` of a dataset.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from sb3port.errors import NotPortable
from sb3port.networks.observations import Observations
from sb3port.parity.observations.datasets import dataset_actions, dataset_observations
from sb3port.parity.observations.recorded import recorded_array, recorded_observations

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
        found, actions = recorded_observations(path, spec), recorded_array(path, _TAKEN, "actions")
    batches = list(found.batches())
    parts = {key: np.concatenate([batch.parts[key] for batch in batches]) for key in batches[0].parts}
    if not all(np.isfinite(_in_32_bits(array)).all() for array in parts.values() if array.dtype.kind == "f"):
        raise NotPortable(f"{path} holds observations that are infinite in numbers of 32 bits")
    masks = [batch.masks for batch in batches if batch.masks is not None]
    shown = Observations(parts, masks=np.concatenate(masks).astype(np.bool_) if masks else None)
    return Demonstrations(shown, _fitting(actions, spec, len(shown), path))


def _fitting(actions: Array, spec: PolicySpec, count: int, path: Path) -> Array:
    """Give actions in the shape of their space.

    Raises:
        NotPortable: They are not of the policy's action space.
    """
    space = spec.action_space
    assert not isinstance(space, Dict)
    if len(actions) != count or actions.size != count * space.size:
        raise NotPortable(f"{path} holds actions of shape {actions.shape}, but the policy's are {space}")
    shaped = actions.reshape(count, *space.shape)
    if not np.isfinite(narrow := _in_32_bits(shaped)).all():
        raise NotPortable(f"{path} holds actions that are NaN or infinite")
    if isinstance(space, Box):
        return narrow
    match space:
        case Discrete():
            beyond = np.array(space.n)
        case MultiDiscrete():
            beyond = space.nvec
        case MultiBinary():
            beyond = np.array(2)
    if (shaped < 0).any() or (shaped >= beyond).any() or (shaped != np.floor(shaped)).any():
        raise NotPortable(f"{path} holds actions that are none of {space}")
    return shaped.astype(np.int64)


def _in_32_bits(values: Array) -> Array:
    """Give numbers as policies compute with them: those that are too large become infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)
