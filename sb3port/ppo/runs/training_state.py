"""What resuming a training needs beside its port, as JSON and safetensors.

That is the settings, the counters, the random numbers, and where every environment is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.files.untrusted import read_json
from sb3port.ports.lerobot_folder import read_tensors
from sb3port.ppo.rollout.episodes import Recording
from sb3port.ppo.rollout.random_state import RandomState, read_random_state, set_random_state
from sb3port.ppo.runs.collecting import Progress
from sb3port.ppo.runs.settings import VALUES, RunSettings, settings_from_json
from sb3port.ppo.runs.trainer import Counters, Trainer

_ARRAYS = "training.safetensors"
_FORMAT = 1


@dataclass(frozen=True)
class TrainingState:
    """The state of a training between two rollouts, without its port.

    Args:
        settings: What it was told.
        counters: How far it is.
        random: The random numbers to come.
        recordings: Where each environment is.
        progress: What the collector goes on from.
        returns: Discounted returns of the running episodes, by which rewards are normalised; None without.
        frames: What is seen of stacks of normalised frames, by the keys of the observations.
    """

    settings: RunSettings
    counters: Counters
    random: RandomState
    recordings: list[Recording]
    progress: Progress
    returns: Array | None
    frames: Mapping[str, Array] = field(default_factory=dict)


def state_of(trainer: Trainer) -> TrainingState:
    """Give the state of a training as it is."""
    normaliser = trainer.normaliser
    return TrainingState(
        trainer.settings,
        trainer.counters,
        read_random_state(),
        trainer.envs.recordings(),
        trainer.collector.progress,
        None if normaliser is None else normaliser.returns,
        {} if normaliser is None else normaliser.frames,
    )


def apply_state(trainer: Trainer, state: TrainingState) -> bool:
    """Bring a trainer whose port is loaded to a state.

    Returns:
        Whether the environments are where they were. If not, which happens where one draws random numbers of
        its own, their episodes began anew.
    """
    trainer.counters = state.counters
    progress = state.progress
    seen = trainer.envs.play(state.recordings)
    same = bool(seen) and all(
        np.array_equal(seen[key], array) for key, array in progress.observations.items()
    )
    if trainer.normaliser is not None and state.returns is not None:
        trainer.normaliser.returns = state.returns
        trainer.normaliser.put_back(state.frames)
    if same:
        trainer.collector.go_on(progress)
    set_random_state(state.random)
    if not same:
        trainer.collector.begin(None)
    return same


def write_state(state: TrainingState, folder: Path) -> None:
    """Write a state into an existing folder."""
    progress = state.progress
    arrays = {f"observations.{key}": array for key, array in progress.observations.items()}
    arrays |= {f"frames.{key}": array for key, array in state.frames.items()}
    arrays |= {"ended": progress.ended, "random.torch": state.random.torch}
    optional = {"memory": progress.memory, "returns": state.returns, "random.cuda": state.random.cuda}
    arrays |= {key: array for key, array in optional.items() if array is not None}
    for index, recording in enumerate(state.recordings):
        if recording.actions:
            arrays[f"actions.{index}"] = np.stack([np.asarray(action) for action in recording.actions])
    content = {
        "format": _FORMAT,
        "settings": state.settings.to_json(),
        "counters": asdict(state.counters),
        "random": {"python": state.random.python, "numpy": state.random.numpy},
        "environments": [_recording_json(recording) for recording in state.recordings],
        "episodes": [list(episode) for episode in progress.episodes],
    }
    (folder / VALUES).write_text(json.dumps(content), encoding="utf-8")
    (folder / _ARRAYS).write_bytes(save({key: np.asarray(a, order="C") for key, a in arrays.items()}))


def read_state(folder: Path) -> TrainingState:
    """Read what `write_state` wrote.

    Raises:
        NotPortable: It is absent or damaged.
    """
    try:
        content = read_json(folder / VALUES, within=folder)
        return _state(content, read_tensors(folder / _ARRAYS))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the state of the training in {folder} cannot be read ({error!r})") from error


def _state(content: Mapping[str, Any], arrays: Mapping[str, Array]) -> TrainingState:
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']} is not one that this sb3port knows")
    # Those of a file are read-only, of which torch warns.
    arrays = {key: array.copy() for key, array in arrays.items()}
    progress = Progress(_below("observations.", arrays), arrays["ended"], arrays.get("memory"))
    progress.episodes.extend((total, length, success) for total, length, success in content["episodes"])
    random = content["random"]
    return TrainingState(
        settings_from_json(content["settings"]),
        Counters(**content["counters"]),
        RandomState(random["python"], random["numpy"], arrays["random.torch"], arrays.get("random.cuda")),
        [
            Recording(
                noted["seed"],
                _with_arrays(noted["generator"]),
                list(arrays.get(f"actions.{index}", ())),
                noted["total"],
            )
            for index, noted in enumerate(content["environments"])
        ],
        progress,
        arrays.get("returns"),
        _below("frames.", arrays),
    )


def _below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Give the arrays whose names begin so, by what follows."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _recording_json(recording: Recording) -> dict[str, Any]:
    generator = None if recording.generator is None else _without_arrays(recording.generator)
    return {"seed": recording.seed, "generator": generator, "total": recording.total}


def _without_arrays(state: Any) -> Any:
    """Write the arrays in the state of a generator, which the usual one has none of, as JSON values."""
    if isinstance(state, Mapping):
        return {key: _without_arrays(value) for key, value in state.items()}
    return {"array": state.tolist(), "dtype": state.dtype.name} if isinstance(state, np.ndarray) else state


def _with_arrays(state: Any) -> Any:
    if isinstance(state, Mapping) and set(state) == {"array", "dtype"}:
        return np.array(state["array"], state["dtype"])
    return {key: _with_arrays(value) for key, value in state.items()} if isinstance(state, Mapping) else state
