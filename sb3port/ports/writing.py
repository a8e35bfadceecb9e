"""A checkpoint as a LeRobot policy folder, written without LeRobot.

Beside LeRobot's own files it holds `sb3port.json` (what the port is and where it comes from),
`training_state/` (the optimiser, in LeRobot's layout) and `README.md` (the model card).
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

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
from sb3port.ports.card.card import model_card
from sb3port.ports.lerobot_template import (
    config_json,
    postprocessor_json,
    preprocessor_json,
)
from sb3port.ports.manifest import hash_files, port_json, statistics_tensors

_SB3_LEARNING_RATE = 3e-4


def write_port(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a port into an existing, empty folder, read it back and compare every tensor.

    Raises:
        OSError: The folder cannot be written.
    """
    spec = checkpoint.spec
    rate = _learning_rate(true_settings(checkpoint).schedules.get("learning_rate"))
    _write_json(folder / "config.json", config_json(spec, rate), indent=4)
    _write_json(folder / PREPROCESSOR_FILE, preprocessor_json(spec, checkpoint.normalizer), indent=2)
    _write_json(folder / POSTPROCESSOR_FILE, postprocessor_json(spec), indent=2)
    _write_tensors(folder / "model.safetensors", dict(checkpoint.tensors))
    if statistics := statistics_tensors(checkpoint):
        _write_tensors(folder / STATISTICS_FILE, statistics)
    _write_training_state(checkpoint, folder / STATE)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    _write_json(folder / PORT_FILE, {**port_json(checkpoint), "files": hash_files(folder, names)}, indent=2)
    (folder / CARD).write_text(model_card(checkpoint), encoding="utf-8", newline="\n")


def _learning_rate(schedule: Schedule | None) -> float:
    """Give the rate at the beginning of training, SB3's default where the file's is lost."""
    rate = 0.0 if schedule is None or isinstance(schedule, CustomSchedule) else schedule(1.0)
    return rate if 0 < rate < math.inf else _SB3_LEARNING_RATE


def _write_json(path: Path, content: dict[str, Any] | list[Any], indent: int) -> None:
    """Write JSON as LeRobot does: no newline at the end."""
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8", newline="\n")


def _write_tensors(path: Path, tensors: dict[str, Array]) -> None:
    """Write tensors, read them back and compare them bit for bit."""
    # Not np.ascontiguousarray, which gives scalars a dimension.
    # Not save_file, whose files nobody else may read.
    path.write_bytes(save({name: np.asarray(array, order="C") for name, array in tensors.items()}))
    written = load_file(path)
    if not all(_is_same(written[name], array) for name, array in tensors.items()):
        raise OSError(f"{path.name} does not read back as it was written: the disk may be full or failing")


def _is_same(one: Array, other: Array) -> bool:
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def _write_training_state(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the optimiser in the layout of `lerobot/optim/optimizers.py`, and the steps done."""
    folder.mkdir()
    steps = checkpoint.training.hyperparameters.get("num_timesteps", 0)
    _write_json(folder / "training_step.json", {"step": steps}, indent=4)
    if checkpoint.optimizer is not None:
        _write_optimizer(checkpoint.optimizer, folder)
    for name, optimizer in checkpoint.optimizers.items():
        (folder / name).mkdir()
        _write_optimizer(optimizer, folder / name)
    if checkpoint.variables:
        _write_tensors(folder / VARIABLES_FILE, dict(checkpoint.variables))


def _write_optimizer(optimizer: OptimizerState, folder: Path) -> None:
    group = {**optimizer.group, "params": list(range(optimizer.count))}
    _write_json(folder / "optimizer_param_groups.json", [group], indent=4)
    _write_tensors(folder / "optimizer_state.safetensors", _optimizer_state(optimizer))


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
