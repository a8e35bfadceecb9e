"""What resuming a training needs beside its port, as JSON and safetensors.

That is the settings, the counters, the random numbers, and where every environment is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from sb3port.checkpoint.checkpoint import Array
from sb3port.errors import NotPortable
from sb3port.files.untrusted import read_json
from sb3port.ports.lerobot_folder import read_tensors
from sb3port.ppo.ranks.base import Ranks
from sb3port.ppo.rollout.episodes import Recording
from sb3port.ppo.rollout.native import AT_ONCE
from sb3port.ppo.rollout.random_state import RandomState, read_random_state, set_random_state
from sb3port.ppo.runs.collecting import Progress
from sb3port.ppo.runs.settings import VALUES, RunSettings, settings_from_json
from sb3port.ppo.runs.several import draw_apart
from sb3port.ppo.runs.state_schema import check_arrays, check_content
from sb3port.ppo.runs.trainer import Counters, Trainer

_ARRAYS = "training.safetensors"
_FORMAT = 1
_LENGTH = 8  # bytes in which the length of a text is told


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
        others: The random numbers of the processes after the first one.
        reference: Weights of the policy that the training stays near, by canonical name; None without one.
    """

    settings: RunSettings
    counters: Counters
    random: RandomState
    recordings: list[Recording]
    progress: Progress
    returns: Array | None
    frames: Mapping[str, Array] = field(default_factory=dict)
    others: tuple[RandomState, ...] = ()
    reference: Mapping[str, Array] | None = None


def state_of(trainer: Trainer) -> TrainingState:
    """Give the state of a training as it is, with the environments of all processes."""
    own, ranks = _own_state(trainer), trainer.ranks
    return own if ranks.size == 1 else _joined([_unpacked(part) for part in ranks.gather(_packed(own))])


def _own_state(trainer: Trainer) -> TrainingState:
    normaliser = trainer.normaliser
    return TrainingState(
        trainer.settings,
        trainer.counters,
        read_random_state(),
        trainer.envs.recordings(),
        trainer.collector.progress,
        None if normaliser is None else normaliser.returns,
        {} if normaliser is None else normaliser.frames,
        reference=trainer.beginning.reference,
    )


def apply_state(trainer: Trainer, state: TrainingState) -> bool:
    """Bring a trainer whose port is loaded to a state.

    Returns:
        Whether the environments are where they were. If not, which happens where one draws random numbers of
        its own, their episodes began anew.
    """
    ranks, had = trainer.ranks, len(state.others) + 1
    if had != ranks.size and state.settings.vec_env in AT_ONCE:
        state = replace(state, recordings=[])  # one of each process, which cannot be shared out anew
    state = _part(state, ranks)
    trainer.counters = state.counters
    progress = state.progress
    trainer.collector.check(progress)
    seen = trainer.envs.play(state.recordings)
    if seen and set(seen) != set(progress.observations):
        raise ValueError("it holds other observations than there are")
    same = bool(seen) and all(
        np.array_equal(seen[key], array) for key, array in progress.observations.items()
    )
    (differs,) = ranks.any(not same)
    same = not differs
    if (trainer.normaliser is None) != (state.returns is None):
        raise ValueError("it is normalised and its policy is not, or the reverse")
    if trainer.normaliser is not None and state.returns is not None:
        trainer.normaliser.returns = state.returns
        trainer.normaliser.put_back(state.frames)
    if same:
        trainer.collector.go_on(progress)
    set_random_state(state.random)
    if had != ranks.size:
        draw_apart(ranks, trainer.settings.seed, state.counters.num_timesteps)
    if not same:
        trainer.collector.begin(None)
    return same


def write_state(state: TrainingState, folder: Path) -> None:
    """Write a state into an existing folder."""
    content, arrays = _as_values(state)
    (folder / VALUES).write_text(json.dumps(content), encoding="utf-8")
    (folder / _ARRAYS).write_bytes(save(arrays))


def _as_values(state: TrainingState) -> tuple[dict[str, Any], dict[str, Array]]:
    """Give a state as JSON values and arrays."""
    progress = state.progress
    arrays = {f"observations.{key}": array for key, array in progress.observations.items()}
    arrays |= {f"frames.{key}": array for key, array in state.frames.items()}
    arrays |= {f"reference.{name}": array for name, array in (state.reference or {}).items()}
    arrays |= {"ended": progress.ended}
    optional = {"memory": progress.memory, "returns": state.returns}
    for index, random in enumerate((state.random, *state.others)):
        optional |= {
            _numbered("random.torch", index): random.torch,
            _numbered("random.cuda", index): random.cuda,
        }
    arrays |= {key: array for key, array in optional.items() if array is not None}
    for index, recording in enumerate(state.recordings):
        if recording.actions:
            arrays[f"actions.{index}"] = np.stack([np.asarray(action) for action in recording.actions])
    content = {
        "format": _FORMAT,
        "settings": state.settings.to_json(),
        "counters": asdict(state.counters),
        "random": _random_json(state.random),
        "environments": [_recording_json(recording) for recording in state.recordings],
        "episodes": [list(episode) for episode in progress.episodes],
    }
    if state.others:
        content["others"] = [_random_json(random) for random in state.others]
    return content, {key: np.asarray(array, order="C") for key, array in arrays.items()}


def read_state(folder: Path) -> TrainingState:
    """Read what `write_state` wrote.

    Raises:
        NotPortable: It is absent or damaged.
    """
    try:
        content = read_json(folder / VALUES, within=folder)
        check_content(content, AT_ONCE)
        state = _state(content, arrays := read_tensors(folder / _ARRAYS))
        count = state.settings.n_envs
        check_arrays(arrays, count)
        if state.settings.vec_env not in AT_ONCE and len(state.recordings) != count:
            raise ValueError(f"it does not say where {count} environments are")
        return state
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise NotPortable(f"the state of the training in {folder} cannot be read ({error!r})") from error


def _state(content: Mapping[str, Any], arrays: Mapping[str, Array]) -> TrainingState:
    # Those of a file are read-only, of which torch warns.
    arrays = {key: array.copy() for key, array in arrays.items()}
    progress = Progress(_below("observations.", arrays), arrays["ended"], arrays.get("memory"))
    progress.episodes.extend((total, length, success) for total, length, success in content["episodes"])
    random, *others = (
        RandomState(
            noted["python"],
            noted["numpy"],
            arrays[_numbered("random.torch", index)],
            arrays.get(_numbered("random.cuda", index)),
        )
        for index, noted in enumerate((content["random"], *content.get("others", ())))
    )
    return TrainingState(
        settings_from_json(content["settings"]),
        Counters(**content["counters"]),
        random,
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
        tuple(others),
        _below("reference.", arrays) or None,
    )


def _packed(state: TrainingState) -> bytes:
    """Write a state as one process hands it to another."""
    content, arrays = _as_values(state)
    text = json.dumps(content).encode()
    return len(text).to_bytes(_LENGTH, "big") + text + save(arrays)


def _unpacked(packed: bytes) -> TrainingState:
    end = _LENGTH + int.from_bytes(packed[:_LENGTH], "big")
    return _state(json.loads(packed[_LENGTH:end]), load(packed[end:]))


def _joined(parts: list[TrainingState]) -> TrainingState:
    """Put the states of all processes together, whose environments follow one another."""
    first = parts[0]

    def concatenated(arrays: Sequence[Array | None]) -> Any:
        return None if arrays[0] is None else np.concatenate([array for array in arrays if array is not None])

    def by_key(dictionaries: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        return {key: concatenated([arrays[key] for arrays in dictionaries]) for key in dictionaries[0]}

    progress = Progress(
        by_key([part.progress.observations for part in parts]),
        concatenated([part.progress.ended for part in parts]),
        concatenated([part.progress.memory for part in parts]),
        first.progress.episodes,
    )
    return replace(
        first,
        recordings=[recording for part in parts for recording in part.recordings],
        progress=progress,
        returns=concatenated([part.returns for part in parts]),
        frames=by_key([part.frames for part in parts]),
        others=tuple(part.random for part in parts[1:]),
    )


def _part(state: TrainingState, ranks: Ranks) -> TrainingState:
    """Give one process its share of a state."""
    if ranks.size == 1:
        return state
    progress = state.progress
    own = (state.random, *state.others)[ranks.rank] if len(state.others) + 1 == ranks.size else state.random
    return replace(
        state,
        random=own,
        recordings=list(ranks.part(state.recordings)),
        progress=Progress(
            {key: ranks.part(array) for key, array in progress.observations.items()},
            ranks.part(progress.ended),
            None if progress.memory is None else ranks.part(progress.memory),
            progress.episodes,
        ),
        returns=None if state.returns is None else ranks.part(state.returns),
        frames={key: ranks.part(array) for key, array in state.frames.items()},
    )


def _below(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Give the arrays whose names begin so, by what follows."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _numbered(name: str, index: int) -> str:
    """Name an array of a process; that of the first one has no number."""
    return f"{name}.{index}" if index else name


def _random_json(random: RandomState) -> dict[str, Any]:
    return {"python": random.python, "numpy": random.numpy}


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
