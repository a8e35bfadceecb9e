"""A checkpoint as a LeRobot policy folder, written without LeRobot.

Beside LeRobot's own files it holds `sb3port.json` (what the port is and where it comes from),
`training_state/` (the optimiser, in LeRobot's layout) and `README.md` (the model card).
"""

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from sb3port.checkpoint.checkpoint import Array, Checkpoint, OptimizerState
from sb3port.checkpoint.schedules import CustomSchedule, Schedule
from sb3port.families.hyperparameters import true_settings
from sb3port.files.port_files import (
    CARD,
    PORT_FILE,
    POSTPROCESSOR_FILE,
    PREPROCESSOR_FILE,
    STATE,
    STATISTICS_FILE,
    VARIABLES_FILE,
)
from sb3port.files.texts.json_text import json_text
from sb3port.ports.card.card import model_card
from sb3port.ports.lerobot_template import (
    config_json,
    postprocessor_json,
    preprocessor_json,
)
from sb3port.ports.manifest import port_json, statistics_tensors

_SB3_LEARNING_RATE = 3e-4


def write_port(checkpoint: Checkpoint, folder: Path) -> int:
    """Write a port into an existing, empty folder, read it back and compare every tensor.

    Returns:
        How many bytes it has.

    Raises:
        OSError: The folder cannot be written.
    """
    spec, files = checkpoint.spec, _Files(folder)
    rate = _learning_rate(true_settings(checkpoint).schedules.get("learning_rate"))
    files.write_json("config.json", config_json(spec, rate), indent=4)
    files.write_json(PREPROCESSOR_FILE, preprocessor_json(spec, checkpoint.normalizer), indent=2)
    files.write_json(POSTPROCESSOR_FILE, postprocessor_json(spec), indent=2)
    files.write_tensors("model.safetensors", dict(checkpoint.tensors))
    if statistics := statistics_tensors(checkpoint):
        files.write_tensors(STATISTICS_FILE, statistics)
    _write_training_state(checkpoint, files)
    files.write_json(PORT_FILE, {**port_json(checkpoint), "files": files.by_name()}, indent=2)
    files.write(CARD, model_card(checkpoint).encode("utf-8"))
    return files.size


class _Files:
    """The files of a port: each is read back when it has been written, and hashed then.

    Args:
        folder: Where they are.

    Attributes:
        size: How many bytes they have.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._folder = str(folder)
        self._hashes: dict[str, str] = {}

    def by_name(self) -> dict[str, str]:
        """Give the SHA-256 of those that were written so far, folder by folder, as `hash_files` does."""
        return {name: self._hashes[name] for name in sorted(self._hashes, key=lambda name: name.split("/"))}

    def make_folder(self, name: str) -> None:
        """Make a folder in that of the port."""
        os.mkdir(f"{self._folder}/{name}")  # noqa: PTH102 (a port has ten files: Path takes as long as they)

    def write(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            OSError: It cannot be written, or not be read back.
        """
        path = f"{self._folder}/{name}"
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)
        with open(path, "rb") as file:  # noqa: PTH123
            written = file.read()
        if written != content:
            raise OSError(f"{name} does not read back as it was written: the disk may be full or failing")
        self._hashes[name] = hashlib.sha256(written).hexdigest()
        self.size += len(written)

    def write_json(self, name: str, content: dict[str, Any] | list[Any], indent: int) -> None:
        """Write JSON as LeRobot does: no newline at the end."""
        self.write(name, json_text(content, indent, strict=False).text.encode("ascii"))

    def write_tensors(self, name: str, tensors: dict[str, Array]) -> None:
        """Write tensors; what is read of the file is compared with them bit for bit."""
        # Not np.ascontiguousarray, which gives scalars a dimension.
        # Not save_file, whose files nobody else may read.
        content = save({name: np.asarray(array, order="C") for name, array in tensors.items()})
        self.write(name, content)
        written = load(content)
        if not all(_is_same(written[name], array) for name, array in tensors.items()):
            raise OSError(f"{name} does not hold the tensors that were written into it")


def _learning_rate(schedule: Schedule | None) -> float:
    """Give the rate at the beginning of training, SB3's default where the file's is lost."""
    rate = 0.0 if schedule is None or isinstance(schedule, CustomSchedule) else schedule(1.0)
    return rate if 0 < rate < math.inf else _SB3_LEARNING_RATE


def _is_same(one: Array, other: Array) -> bool:
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def _write_training_state(checkpoint: Checkpoint, files: _Files) -> None:
    """Write the optimiser in the layout of `lerobot/optim/optimizers.py`, and the steps done."""
    files.make_folder(STATE)
    steps = checkpoint.training.hyperparameters.get("num_timesteps", 0)
    files.write_json(f"{STATE}/training_step.json", {"step": steps}, indent=4)
    if checkpoint.optimizer is not None:
        _write_optimizer(checkpoint.optimizer, files, STATE)
    for name, optimizer in checkpoint.optimizers.items():
        files.make_folder(f"{STATE}/{name}")
        _write_optimizer(optimizer, files, f"{STATE}/{name}")
    if checkpoint.variables:
        files.write_tensors(f"{STATE}/{VARIABLES_FILE}", dict(checkpoint.variables))


def _write_optimizer(optimizer: OptimizerState, files: _Files, folder: str) -> None:
    group = {**optimizer.group, "params": list(range(optimizer.count))}
    files.write_json(f"{folder}/optimizer_param_groups.json", [group], indent=4)
    files.write_tensors(f"{folder}/optimizer_state.safetensors", _optimizer_state(optimizer))


def _optimizer_state(optimizer: OptimizerState) -> dict[str, Array]:
    """Flatten torch's nested optimiser state as LeRobot does: `state/<parameter number>/<tensor>`."""
    return {
        f"state/{number}/{key}": _state_array(value)
        for number, tensors in optimizer.state.items()
        for key, value in tensors.items()
    }


def _state_array(value: Any) -> Array:
    """Give a tensor as it is; a step count, a plain number before torch 1.12, as today's float32 tensor."""
    return value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
