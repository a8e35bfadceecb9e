"""How a checkpoint was trained: schedules, hyperparameters and the optimiser's state."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import OptimizerState, Scalar, TrainingSettings
from sb3port.checkpoint.plain import is_plain
from sb3port.errors import NotPortable
from sb3port.families.algorithms import Algorithm
from sb3port.families.hyperparameters import is_setting
from sb3port.families.parameters import Parameters
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.arrays import as_plain
from sb3port.readers.formats.bytecode import Version
from sb3port.readers.formats.records import Global
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning.schedules import read_schedule

_PYTHON = re.compile(r"^[- ]*Python: (\d{1,2})\.(\d{1,2})\b", re.MULTILINE | re.ASCII)
_OPTIMIZER = "policy.optimizer.pth"


def read_training(
    archive: Archive, algorithm: Algorithm, policy_kwargs: Mapping[str, Any]
) -> TrainingSettings:
    """Read the settings of the training.

    Args:
        archive: The zip.
        algorithm: Whose settings they are.
        policy_kwargs: As `read_policy_kwargs` gave them: SB3 notes there every optimiser that is not Adam.

    Raises:
        NotPortable: A setting is of an odd type.
    """
    where, python = archive.name, python_of(archive)
    values = {name: archive.value(name) for name in (*algorithm.schedules, *algorithm.hyperparameters)}
    schedules = {
        name: read_schedule(values[name], f"{where}: {name}", python)
        for name in algorithm.schedules
        if values[name] is not None
    }
    present = [name for name in algorithm.hyperparameters if name in archive.data]
    return TrainingSettings(
        schedules=schedules,
        hyperparameters={name: _setting(name, values[name], f"{where}: {name}") for name in present},
        optimizer_class=policy_kwargs.get("optimizer_class", "Adam"),
        optimizer_kwargs=policy_kwargs.get("optimizer_kwargs", {}),
    )


def python_of(archive: Archive) -> Version | None:
    """Tell which Python wrote a zip; since 1.3 its `system_info.txt` says so."""
    found = _PYTHON.search(archive.text("system_info.txt") or "")
    return (int(found[1]), int(found[2])) if found else None


def _setting(name: str, value: Any, where: str) -> Scalar:
    plain = as_plain(value, where)
    if not is_setting(name, plain):
        raise NotPortable(f"{where} is {plain!r:.200}, which is no setting")
    return plain


def read_optimizer(
    archive: Archive, parameters: Parameters
) -> tuple[OptimizerState | None, frozenset[Global]]:
    """Read `policy.optimizer.pth`, whose parameters are numbered in `named_parameters()` order.

    Args:
        archive: The zip.
        parameters: Those of the policy.

    Returns:
        The state, None where there is none or it belongs to other parameters, and the globals in its pickle.

    Raises:
        NotPortable: The file is damaged, or holds something else than an optimiser's state.
    """
    if _OPTIMIZER not in archive.members:
        return None, frozenset()
    value, imports = read_torch(archive.members[_OPTIMIZER], f"{archive.name}: {_OPTIMIZER}")
    try:
        (group,), state = value["param_groups"], value["state"]
        order = {id_: number for number, id_ in enumerate(group["params"])}
        # Older torch keeps None for what an optimiser has not begun to use; a row of that is none.
        rows = {order[n]: {k: v for k, v in row.items() if v is not None} for n, row in state.items()}
        learned = {number: row for number, row in rows.items() if row}
        settings = {key: item for key, item in group.items() if key != "params"}
    except (LookupError, TypeError, ValueError, AttributeError):
        return None, imports
    values = (pair for row in learned.values() for pair in row.items())
    found = OptimizerState(settings, learned, len(order))
    is_sound = all(_is_name(key) and _is_numeric(value) for key, value in values) and is_plain(settings)
    return (found if is_sound and parameters.fit(found) else None), imports


def _is_name(key: Any) -> bool:
    """Whether it can be a part of a tensor's name in a port."""
    return isinstance(key, str) and "/" not in key and key.isprintable()


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray | int | float)


def optimizer_warnings(archive: Archive, optimizer: OptimizerState | None) -> list[str]:
    """Say if there is an optimiser's state that is left out."""
    if optimizer is None and _OPTIMIZER in archive.members:
        return ["the optimiser's state does not fit the policy's parameters, and is left out"]
    return []
