"""How a checkpoint was trained: schedules, hyperparameters and the optimiser's state."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import (
    Array,
    OptimizerState,
    PolicySpec,
    ReplaySpec,
    Scalar,
    TrainingSettings,
)
from sb3port.checkpoint.plain import is_plain
from sb3port.checkpoint.schedules import Schedule
from sb3port.errors import NotPortable
from sb3port.families.algorithms import Algorithm
from sb3port.families.hyperparameters import is_setting
from sb3port.families.parameters import Parameters, parameters_by_optimizer
from sb3port.files.port_files import ENTROPY_OPTIMIZER
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.arrays import as_plain
from sb3port.readers.formats.bytecode import Version
from sb3port.readers.formats.records import Global
from sb3port.readers.formats.remembering import recalled
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning.replay import read_replay
from sb3port.readers.meaning.schedules import read_schedule

_PYTHON = re.compile(r"^[- ]*Python: (\d{1,2})\.(\d{1,2})\b", re.MULTILINE | re.ASCII)
_OPTIMIZER = "policy.optimizer.pth"
# The second is the name that they had until SB3 0.11.
_VARIABLES = ("pytorch_variables.pth", "tensors.pth")
COEFFICIENTS = ("log_ent_coef", "ent_coef_tensor")


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
        name: _schedule(archive, name, values[name], python)
        for name in algorithm.schedules
        if values[name] is not None
    }
    replay = read_replay(archive, algorithm)
    present = [name for name in algorithm.hyperparameters if name in archive.data and name not in replay]
    return TrainingSettings(
        schedules=schedules,
        hyperparameters={name: _setting(name, values[name], f"{where}: {name}") for name in present},
        optimizer_class=policy_kwargs.get("optimizer_class", "Adam"),
        optimizer_kwargs=policy_kwargs.get("optimizer_kwargs", {}),
        replay=replay,
    )


def _schedule(archive: Archive, name: str, value: Any, python: Version | None) -> Schedule:
    """Read a schedule, or remember what the same pickle says, written by the same Python."""
    where = f"{archive.name}: {name}"
    if not archive.is_pickled(name):
        return read_schedule(value, where, python)
    pickled = archive.pickled(name)
    return recalled(f"schedule of {python}", pickled, lambda: read_schedule(value, where, python))


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
    return _read_optimizer(archive, _OPTIMIZER, parameters)


def read_optimizers(
    archive: Archive, spec: PolicySpec, tensors: Mapping[str, Array]
) -> dict[str, OptimizerState]:
    """Read the optimisers of an algorithm that has several, by SB3's names.

    Args:
        archive: The zip.
        spec: The policy.
        tensors: Its tensors.

    Raises:
        NotPortable: As `read_optimizer`.
    """
    if not isinstance(spec, ReplaySpec) or archive.tensors_in is not None:
        return {}
    parameters = parameters_by_optimizer(spec, tensors)
    if len(parameters) > 1:
        parameters[ENTROPY_OPTIMIZER] = Parameters(((1,),))
    several = {name: of for name, of in parameters.items() if f"{name}.pth" != _OPTIMIZER}
    found = {name: _read_optimizer(archive, f"{name}.pth", of)[0] for name, of in several.items()}
    return {name: state for name, state in found.items() if state is not None}


def read_variables(archive: Archive, algorithm: Algorithm) -> dict[str, Array]:
    """Read the tensors that an algorithm has beside its policy: the coefficient of the entropy.

    Raises:
        NotPortable: The file is damaged.
    """
    member = next((name for name in _VARIABLES if name in archive.members), None)
    if member is None or "ent_coef" not in algorithm.replay:
        return {}
    value, _ = read_torch(archive.members[member], f"{archive.name}: {member}")
    named = value.items() if isinstance(value, dict) else ()
    return {
        name: array
        for name, array in named
        if name in COEFFICIENTS and isinstance(array, np.ndarray) and is_coefficient(array)
    }


def is_coefficient(array: Array) -> bool:
    """Whether it is one finite float32, as SB3 keeps the coefficient of the entropy."""
    return array.dtype == np.float32 and array.shape in ((), (1,)) and bool(np.isfinite(array).all())


def _read_optimizer(
    archive: Archive, member: str, parameters: Parameters
) -> tuple[OptimizerState | None, frozenset[Global]]:
    if member not in archive.members or not parameters.shapes:
        return None, frozenset()
    value, imports = read_torch(archive.members[member], f"{archive.name}: {member}")
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
    found = _of_learners(OptimizerState(settings, learned, len(order)), parameters, member)
    is_sound = all(_is_name(key) and _is_numeric(value) for key, value in values) and is_plain(settings)
    return (found if is_sound and parameters.fit(found) else None), imports


def _of_learners(found: OptimizerState, parameters: Parameters, member: str) -> OptimizerState:
    """Leave out the targets that DQN's optimiser had, too, until SB3 2.2, and never moved."""
    count = len(parameters.shapes)
    doubled = member == _OPTIMIZER and found.count == 2 * count and all(n < count for n in found.state)
    return replace(found, count=count) if doubled and parameters.all_of_them else found


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
