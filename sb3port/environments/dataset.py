"""A recording as a LeRobotDataset, written by LeRobot; `dataset_columns` says what lies where."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.checkpoint.spaces import Dict, parts
from sb3port.environments.dataset_columns import (
    DETERMINISTIC,
    LOG_PROB,
    SAMPLED,
    VALUE,
    Features,
    as_column,
    number,
    observation_column,
    observation_features,
    vector,
)
from sb3port.environments.recording import Recording
from sb3port.errors import need
from sb3port.families.features import mask_key
from sb3port.files.staging import DATASET, staged_folder

_RECORDING_FILE = "meta/sb3port.json"


def write_dataset(recording: Recording, dest: Path, force: bool = False) -> None:
    """Write a recording in LeRobot's format, images as PNG.

    Raises:
        UsageError: `dest` exists and `force` is false, or it cannot be written.
    """
    with staged_folder(dest, force, DATASET) as staging:
        staging.rmdir()  # LeRobot makes it
        with contextlib.redirect_stdout(io.StringIO()):
            _write(recording, staging, dest.name)
        text = json.dumps(recording.describe(), indent=2)
        (staging / _RECORDING_FILE).write_text(text, encoding="utf-8")


def check_installed() -> None:
    """Look whether LeRobot can write datasets, before anything takes its time.

    Raises:
        UsageError: It cannot.
    """
    need("dataset", "a LeRobotDataset")


def _write(recording: Recording, folder: Path, name: str) -> None:
    import datasets
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    datasets.disable_progress_bars()
    columns = _columns(recording)
    written = LeRobotDataset.create(
        f"local/{name}",
        fps=recording.fps,
        root=folder,
        features=_features(recording),
        use_videos=False,
        video_backend="pyav",  # or LeRobot looks for another one, and complains at length
    )
    for rows in _episodes(recording):
        for row in rows:
            frame: dict[str, Any] = {name: column[row] for name, column in columns.items()}
            written.add_frame({**frame, "task": recording.env})
        written.save_episode()
    written.finalize()


def _episodes(recording: Recording) -> Iterator[range]:
    """Give the rows of each episode."""
    begin = 0
    for length in np.bincount(recording.episode).tolist():
        yield range(begin, begin + length)
        begin += length


def _features(recording: Recording) -> Features:
    space = recording.spec.action_space
    assert not isinstance(space, Dict)
    action = vector(recording.taken.dtype.name, space.size)
    thoughts: Features = {DETERMINISTIC: action, VALUE: number("float32"), LOG_PROB: number("float32")}
    return {
        **observation_features(recording.spec),
        "action": action,
        SAMPLED: vector(recording.sampled.dtype.name, space.size),
        **(thoughts if recording.outputs else {}),
        "next.reward": number("float32"),
        "next.done": number("bool"),
        "next.truncated": number("bool"),
    }


def _columns(recording: Recording) -> dict[str, Array]:
    space, seen, thought = recording.spec.action_space, recording.observations, recording.outputs
    assert not isinstance(space, Dict)
    spaces = parts(recording.spec.observation_space)
    columns = {
        observation_column(key, part): as_column(part, seen.parts[key]) for key, part in spaces.items()
    }
    thoughts = {VALUE: thought["value"], LOG_PROB: thought["log_prob"]} if thought else {}
    deterministic = recording.taken if recording.deterministic else thought.get("action")
    numbers = {
        **thoughts,
        "next.reward": recording.reward.astype(np.float32),
        "next.done": recording.terminated | recording.truncated,
        "next.truncated": recording.truncated,
    }
    return {
        **columns,
        **({} if seen.masks is None else {mask_key(recording.spec.observation_space): seen.masks}),
        "action": as_column(space, recording.taken),
        SAMPLED: recording.sampled.reshape(len(recording), -1),
        **({} if deterministic is None else {DETERMINISTIC: as_column(space, deterministic)}),
        **{name: values[:, None] for name, values in numbers.items()},
    }
