"""Observations out of a LeRobotDataset, with exact values: what `sb3port record --format lerobot` wrote.

Any other LeRobotDataset will do that has the columns of the policy's observations. It says nothing of what
the policy should answer then: its `action` is what somebody did.
"""

import io
import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
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
from sb3port.files.budget import budget, factor
from sb3port.files.untrusted import open_untrusted
from sb3port.networks.observations import ObservationSet
from sb3port.parity.observations.recorded import as_set, refusing
from sb3port.parity.observations.unpacked import Unpacked

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

_RECORDED = {VALUE: "value", LOG_PROB: "log_prob", SAMPLED: "sampled_action", DETERMINISTIC: "action"}
_INDEX = "index"
_FRAME = "frame_index"
_FEW_ROWS, _MANY_ROWS = 64, 2**16  # that are read at a time
_FORMATS = ("PNG", "JPEG")  # Pillow runs other programs for some


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
    with refusing(path):
        named = _named(arrays, spec)
    return as_set(named, spec, path, name)


def dataset_actions(path: Path) -> Array:
    """Read what was done in all frames, `(N, A)`; errors are those of `dataset_observations`."""
    return _read(path, ["action"], ())["action"]


def _named(columns: dict[str, Array], spec: PolicySpec) -> dict[str, Array]:
    """Give columns the names of a `reference.npz`."""
    spaces, action = parts(spec.observation_space), spec.action_space
    assert not isinstance(action, Dict)
    named = {
        f"observation.{key}" if key else "observation": from_column(
            space, _as_type(columns[observation_column(key, space)], observation_dtype(space))
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


def _as_type(values: Array, dtype: str) -> Array:
    """Give numbers as whole ones, where a space has those.

    Raises:
        ValueError: They are others then.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        made = values.astype(dtype, copy=False)
    if made.dtype.kind != "f" and not np.array_equal(made, values):
        raise ValueError(f"observations that are none of {dtype}")
    return made


def _read(path: Path, needed: Sequence[str], wanted: Sequence[str]) -> dict[str, Array]:
    """Read columns of all files in the order of their index."""
    need("dataset", f"reading {path}")
    import pyarrow

    with refusing(path, pyarrow.ArrowException), ExitStack() as opened:
        return _columns(_files(path, opened), path, needed, wanted)


def _files(path: Path, opened: ExitStack) -> list[tuple["ParquetFile", int]]:
    """Open the tables of a dataset, with the size of each."""
    from pyarrow.parquet import ParquetFile

    found = []
    with budget(factor()):
        for name in sorted((path / "data").rglob("*.parquet")):
            file = opened.enter_context(open_untrusted(name, within=path))
            found.append((opened.enter_context(ParquetFile(file)), os.fstat(file.fileno()).st_size))
    if not found:
        raise NotPortable(f"{path} is a LeRobotDataset without data")
    return found


def _columns(
    files: Sequence[tuple["ParquetFile", int]], path: Path, needed: Sequence[str], wanted: Sequence[str]
) -> dict[str, Array]:
    import pyarrow

    names = set(files[0][0].schema_arrow.names)
    if missing := sorted(set(needed) - names):
        verb = "does" if missing == ["action"] else "observes"
        raise NotPortable(f"{path} holds no {', '.join(missing)}, which the policy {verb}")
    columns = [*needed, *(name for name in wanted if name in names), _INDEX]
    unpacked = Unpacked(path, sum(size for _, size in files))
    batches = []
    for file, _ in files:
        rows = _rows_at_once(file, columns, unpacked)
        for batch in file.iter_batches(rows, columns=columns):
            unpacked.take(batch.nbytes)
            batches.append(batch)
    if not batches or _INDEX not in names:
        raise ValueError("it has no rows, or they have no index")
    table = pyarrow.Table.from_batches(batches).sort_by(_INDEX)
    return {name: _array(table[name], unpacked) for name in columns}


def _rows_at_once(file: "ParquetFile", columns: Sequence[str], unpacked: Unpacked) -> int:
    """Say how many rows of a table are read before what they take is counted: few where there are texts.

    What the table says of itself is counted before any of it is read.
    """
    texts = False
    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        for column in map(metadata.column, range(metadata.num_columns)):
            if f"{column.path_in_schema}.".startswith(tuple(f"{name}." for name in columns)):
                unpacked.expect(column.num_values)  # a byte each at least
                texts |= column.physical_type == "BYTE_ARRAY"
    return _FEW_ROWS if texts else _MANY_ROWS


def _array(column: "pyarrow.ChunkedArray", unpacked: Unpacked) -> Array:
    """Give a column as one array: numbers, nested lists of them, or images."""
    import pyarrow

    values: Any = column.combine_chunks()
    if isinstance(values, pyarrow.ExtensionArray):  # arrays of several dimensions
        values = values.storage
    if pyarrow.types.is_struct(values.type):
        return np.stack([_image(item, unpacked) for item in values.field("bytes")])
    shape = [len(values)]
    while pyarrow.types.is_list(values.type) or pyarrow.types.is_fixed_size_list(values.type):
        _refuse_ragged(values)
        values = values.flatten()
        shape.append(len(values) // max(int(np.prod(shape)), 1))
    numbers = np.array(values.to_numpy(zero_copy_only=False)).reshape(shape)
    if numbers.dtype.kind not in "biuf":
        raise ValueError("a column that holds no numbers")
    return unpacked.taken(numbers)


def _refuse_ragged(lists: Any) -> None:
    import pyarrow.compute

    lengths = pyarrow.compute.list_value_length(lists)
    if lengths.null_count or len(lengths.unique()) > 1:
        raise ValueError("rows of unequal length")


def _image(encoded: Any, unpacked: Unpacked) -> Array:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what it takes is counted here
        try:
            with Image.open(io.BytesIO(encoded.as_py()), formats=_FORMATS) as image:
                unpacked.take(image.width * image.height * len(image.getbands()))  # before they are there
                return np.asarray(image)
        except Image.DecompressionBombError as error:
            raise ValueError("a picture of more pixels than any") from error
