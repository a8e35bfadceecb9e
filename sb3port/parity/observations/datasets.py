"""Observations out of a LeRobotDataset, with exact values: what `sb3port record --format lerobot` wrote.

Any other LeRobotDataset will do that has the columns of the policy's observations. It says nothing of what
the policy should answer then: its `action` is what somebody did.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec
from sb3port.checkpoint.spaces import Dict, Discrete, parts
from sb3port.environments.dataset_columns import (
    DETERMINISTIC,
    LOG_PROB,
    SAMPLED,
    VALUE,
    from_column,
    observation_column,
    observation_dtype,
    observation_features,
)
from sb3port.errors import NotPortable, UsageError, need
from sb3port.families.features import mask_key
from sb3port.networks.observations import ObservationSet
from sb3port.parity.observations.recorded import as_set

if TYPE_CHECKING:
    import pyarrow

_RECORDED = {VALUE: "value", LOG_PROB: "log_prob", SAMPLED: "sampled_action", DETERMINISTIC: "action"}
_INDEX = "index"
_FRAME = "frame_index"


def is_dataset(path: Path) -> bool:
    """Whether there is a LeRobotDataset."""
    return (path / "meta" / "info.json").is_file()


def dataset_observations(path: Path, spec: PolicySpec, name: str = "recorded") -> ObservationSet:
    """Read observations, and what was recorded with them, from the folder of a LeRobotDataset.

    Args:
        path: The folder, `root` in LeRobot's words.
        spec: The policy's.
        name: The name of the set.

    Returns:
        All frames in their order, in the type and shape of the space. The memory of a recurrent policy starts
        from zero in each episode.

    Raises:
        UsageError: The folder is no LeRobotDataset, or pyarrow is not installed.
        NotPortable: It is damaged, or does not fit the policy.
    """
    if not is_dataset(path):
        raise UsageError(f"{path} is not a LeRobotDataset: it has no meta/info.json")
    wanted = observation_features(spec)
    arrays = _read(path, sorted(wanted), [*_RECORDED, _FRAME])
    return as_set(_named(arrays, spec), spec, path, name)


def dataset_actions(path: Path) -> Array:
    """Read what was done in all frames, `(N, A)`; errors are those of `dataset_observations`."""
    return _read(path, ["action"], ())["action"]


def _named(columns: dict[str, Array], spec: PolicySpec) -> dict[str, Array]:
    """Give columns the names of a `reference.npz`."""
    spaces, action = parts(spec.observation_space), spec.action_space
    assert not isinstance(action, Dict)
    named = {
        f"observation.{key}" if key else "observation": from_column(
            space, columns[observation_column(key, space)].astype(observation_dtype(space), copy=False)
        )
        for key, space in spaces.items()
    }
    named |= {name: columns[column] for column, name in _RECORDED.items() if column in columns}
    if "sampled_action" in named and not isinstance(action, Discrete):
        named["sampled_action"] = named["sampled_action"].reshape(-1, action.size)
    if "action" in named:
        named["action"] = from_column(action, named["action"])
    if spec.maskable and (key := mask_key(spec.observation_space)) in columns:
        named["action_mask"] = columns[key].astype(bool)
    if spec.lstm_hidden_size is not None:
        named["episode_starts"] = columns[_FRAME] == 0
        named["initial_states"] = np.zeros((4, spec.n_lstm_layers, 1, spec.lstm_hidden_size), np.float32)
    return named


def _read(path: Path, needed: Sequence[str], wanted: Sequence[str]) -> dict[str, Array]:
    """Read columns of all files in the order of their index."""
    need("dataset", f"reading {path}")
    import pyarrow
    from pyarrow import parquet

    try:
        files = [parquet.ParquetFile(file) for file in sorted((path / "data").rglob("*.parquet"))]
        if not files:
            raise NotPortable(f"{path} is a LeRobotDataset without data")
        names = set(files[0].schema_arrow.names)
        if missing := sorted(set(needed) - names):
            verb = "does" if missing == ["action"] else "observes"
            raise NotPortable(f"{path} holds no {', '.join(missing)}, which the policy {verb}")
        columns = [*needed, *(name for name in wanted if name in names), _INDEX]
        table = pyarrow.concat_tables([file.read(columns) for file in files]).sort_by(_INDEX)
        return {name: _array(table[name]) for name in columns}
    except (OSError, pyarrow.ArrowException, KeyError, ValueError) as error:
        raise NotPortable(f"{path} does not hold recorded observations ({error})") from error


def _array(column: "pyarrow.ChunkedArray") -> Array:
    """Give a column as one array: numbers, nested lists of them, or images."""
    import pyarrow

    values: Any = column.combine_chunks()
    if isinstance(values, pyarrow.ExtensionArray):  # arrays of several dimensions
        values = values.storage
    if pyarrow.types.is_struct(values.type):
        return np.stack([_image(item) for item in values.field("bytes")])
    shape = [len(values)]
    while pyarrow.types.is_list(values.type) or pyarrow.types.is_fixed_size_list(values.type):
        values = values.flatten()
        shape.append(len(values) // max(int(np.prod(shape)), 1))
    return np.array(values.to_numpy(zero_copy_only=False)).reshape(shape)


def _image(encoded: Any) -> Array:
    from PIL import Image

    with Image.open(io.BytesIO(encoded.as_py())) as image:
        return np.asarray(image)
