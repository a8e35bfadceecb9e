"""The settings of an algorithm that learns from replayed steps that are no numbers, as plain values.

SB3 keeps them as objects: a `TrainFreq`, a noise for actions, the class of the replay buffer. Replay buffers
themselves are files of their own, which no policy needs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.families.algorithms import Algorithm
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.arrays import as_array, as_number, as_plain, is_number
from sb3port.readers.formats.plain import as_dict, as_plain_tree, shown_key
from sb3port.readers.formats.records import Global, Record

_NOISE = "stable_baselines3.common.noise."
_NOISES = {
    "NormalActionNoise": {"mean": "_mu", "sigma": "_sigma"},
    "OrnsteinUhlenbeckActionNoise": {"mean": "_mu", "sigma": "_sigma", "theta": "_theta", "dt": "_dt"},
}
_SEVERAL = "VectorizedActionNoise"
_BUFFERS = ("stable_baselines3.common.buffers.", "stable_baselines3.her.", "sb3_contrib.common.")
_UNITS = ("step", "episode")
_LONGEST = 100
_OLD_HER = "model_class"


def read_replay(archive: Archive, algorithm: Algorithm) -> dict[str, Any]:
    """Read those settings of an algorithm that are no numbers; what cannot be read is left out.

    Args:
        archive: The zip.
        algorithm: Whose settings they are.
    """
    found = {name: _read(archive, name) for name in algorithm.replay if name in archive.data}
    return {name: value for name, value in found.items() if value is not None and value != {}}


def replay_warnings(archive: Archive, algorithm: Algorithm) -> list[str]:
    """Say which of them are left out, and what of them SB3 does not do any more."""
    lost = [
        name
        for name in algorithm.replay
        if archive.data.get(name) is not None and _read(archive, name) is None
    ]
    kept = [name for name in lost if not (name in _TEXTS and is_number(archive.value(name)))]
    warnings = [f"{', '.join(kept)} cannot be read, and SB3's default takes their place"] if kept else []
    if algorithm.replay and _OLD_HER in archive.data:
        warnings.append(
            "SB3 until 1.0 had HER around another algorithm, whose observations have the goal at their end; "
            "training goes on without HER"
        )
    return warnings


_TEXTS = ("ent_coef", "target_entropy")


def _read(archive: Archive, name: str) -> Any:
    try:
        return _READERS.get(name, _text)(archive, archive.value(name))
    except (NotPortable, LookupError, TypeError, ValueError):
        return None


def _text(_: Archive, value: Any) -> str | None:
    """Read `auto` or `auto_0.1`; numbers are among the other settings."""
    return value[:_LONGEST] if isinstance(value, str) else None


def _train_freq(archive: Archive, value: Any) -> list[Any] | None:
    """Read how often it learns, `[4, "step"]`; until 0.11 -1 steps, and so many episodes instead."""
    if is_number(value):
        count = int(as_number(value))
        if count > 0:
            return [count, _UNITS[0]]
        return [max(1, int(as_number(archive.value("n_episodes_rollout", 1)))), _UNITS[1]]
    if isinstance(value, list | tuple):
        count, unit = value
    elif isinstance(value, Record):
        count, unit = value.args
    else:
        return None
    text = unit.args[0] if isinstance(unit, Record) else unit
    return [int(as_number(count)), text] if text in _UNITS else None


def _noise(_: Archive, value: Any) -> dict[str, Any] | None:
    """Read the noise that is added to actions in training."""
    if value is None:
        return None
    name, state = _object(value)
    if name == _SEVERAL:
        name, state = _object(state.get("_base_noise", state.get("base_noise")))
    found = {argument: _numbers(state[key]) for argument, key in _NOISES[name].items()}
    return {"class": name, **found}


def _object(value: Any) -> tuple[str, Mapping[str, Any]]:
    """Give the name of an object's class, and its attributes."""
    if not isinstance(value, Record):
        raise NotPortable("it is no object")
    target = value.args[0] if value.args and isinstance(value.args[0], Global) else value.target
    state = next((state for state in reversed(value.states) if isinstance(state, dict)), {})
    if not str(target).startswith(_NOISE):
        raise NotPortable("it is no noise of SB3's")
    return str(target).removeprefix(_NOISE), state


def _numbers(value: Any) -> Any:
    found: Array = np.asarray(as_number(value)) if is_number(value) else as_array(value)
    if found.size > _LONGEST or not np.isfinite(found).all():
        raise NotPortable("it holds no numbers")
    return found.astype(np.float64).tolist()


def _buffer_class(_: Archive, value: Any) -> str | None:
    """Read the dotted name of one of SB3's replay buffers."""
    name = str(value) if isinstance(value, Global) else ""
    return name[:_LONGEST] if name.startswith(_BUFFERS) else None


def _buffer_kwargs(archive: Archive, value: Any) -> dict[str, Any] | None:
    where, found = archive.where("replay_buffer_kwargs"), {}
    for key, item in as_dict(value, "replay_buffer_kwargs").items():
        if isinstance(item, Record) and item.args and isinstance(item.args[0], str | int):
            found[shown_key(key)] = _strategy(item)
        else:
            found[shown_key(key)] = as_plain_tree(item, where)
    return found


def _strategy(item: Record) -> Any:
    """Read a `GoalSelectionStrategy`, whose numbers stand for names."""
    number = as_plain(item.args[0], "goal_selection_strategy") if not isinstance(item.args[0], str) else None
    return item.args[0] if number is None else ("future", "final", "episode")[int(number or 0)]


_READERS = {
    "train_freq": _train_freq,
    "action_noise": _noise,
    "replay_buffer_class": _buffer_class,
    "replay_buffer_kwargs": _buffer_kwargs,
}
