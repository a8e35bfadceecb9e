"""Observations that were recorded, with what SB3 computed for them, in a `reference.npz`.

`observation` (for a Dict `observation.<key>`) holds them; `action`, `mode`, `value`, `sampled_action`,
`log_prob`, `entropy`, `normalized_observation` and `final_states` what SB3 made of them, as far as it was
recorded; `action_mask`, `episode_starts` and `initial_states` what else a policy needs.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sb3port.checkpoint.checkpoint import Array, PolicySpec, ReplaySpec
from sb3port.checkpoint.spaces import Box, Simple, parts
from sb3port.errors import NotPortable, UsageError
from sb3port.families.features import mask_size
from sb3port.networks.observations import Observations, ObservationSet, block_rows
from sb3port.networks.outputs import CRITIC_ACTION, NOISE
from sb3port.networks.outputs import OBSERVATION as NORMALIZED
from sb3port.parity.observations.npz import NpzFile

# What comes of a file that is damaged, or of the header of an array, which is Python's literals.
_DAMAGES = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    SyntaxError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)
_PER_SEQUENCE = ("initial_states", "final_states")
_INPUTS = ("action_mask", "episode_starts", "initial_states")
_OUTPUTS = ("action", "mode", "value", "sampled_action", "log_prob", "entropy", "final_states")
# Of policies of several networks.
_BOUND = 0.99
_ESTIMATES = ("q_value", "target_q_value", "quantiles", "target_quantiles", "target_mode")
_REPLAY_OUTPUTS = ("mean", "std", "logits", CRITIC_ACTION, NOISE, *_ESTIMATES)

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Read: TypeAlias = Callable[[int], Array]


def recorded_observations(path: Path, spec: PolicySpec, name: str = "recorded") -> ObservationSet:
    """Read observations and recorded outputs, block by block.

    Args:
        path: An `.npz`; what else is in it is not looked at.
        spec: The policy that they are for.
        name: The name of the set.

    Raises:
        UsageError: The file is absent.
        NotPortable: It is damaged, does not fit the observation space, or holds NaN or infinite values; what
            is in the rows shows while they are read.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file")
    with refusing(path), NpzFile(path) as archive:
        shapes = {member: archive.rows(member).shape for member in _known(archive.names)}
        count = _check_shapes(shapes, spec, path)
    return ObservationSet(name, f"recorded ({path.name})", count, lambda: _file_blocks(path, spec, count))


def recorded_array(path: Path, names: Sequence[str], what: str) -> Array:
    """Read one array of a recording whole.

    Args:
        path: An `.npz`.
        names: The first of them that is there is read.
        what: What to call it where none is there.

    Raises:
        NotPortable: The file is damaged, or has none of them.
    """
    with refusing(path), NpzFile(path) as archive:
        for name in names:
            if name in archive.names:
                return archive.array(name)
    raise NotPortable(f"{path} holds no {what}: no {' and no '.join(names)}")


def as_set(arrays: Mapping[str, Array], spec: PolicySpec, path: Path, name: str) -> ObservationSet:
    """Make a set of arrays that are in memory, under the names of a `reference.npz`.

    Args:
        arrays: By name.
        spec: The policy that they are for.
        path: Where they come from.
        name: The name of the set.

    Raises:
        NotPortable: They do not fit the policy, or observations are NaN or infinite.
    """
    found = {member: arrays[member] for member in _known(arrays)}
    count = _check_shapes({member: array.shape for member, array in found.items()}, spec, path)
    whole = {member: found.pop(member) for member in _PER_SEQUENCE if member in found}

    def blocks() -> Iterator[Observations]:
        readers = {member: _reader(array) for member, array in found.items()}
        return _blocks(readers, whole, count, spec, path)

    return ObservationSet(name, f"recorded ({path.name})", count, blocks)


def _reader(array: Array) -> Read:
    rows = iter(range(len(array)))
    return lambda count: array[[next(rows) for _ in range(count)]]


def _known(names: Iterable[str]) -> list[str]:
    observations = ("observation", NORMALIZED)
    return [
        n
        for n in names
        if n in (*_INPUTS, *_OUTPUTS, *_REPLAY_OUTPUTS) or n.partition(".")[0] in observations
    ]


def _file_blocks(path: Path, spec: PolicySpec, count: int) -> Iterator[Observations]:
    with refusing(path), NpzFile(path) as archive:
        names = _known(archive.names)
        whole = {name: archive.array(name) for name in names if name in _PER_SEQUENCE}
        rows = {name: archive.rows(name) for name in names if name not in _PER_SEQUENCE}
        yield from _blocks({name: found.read for name, found in rows.items()}, whole, count, spec, path)
        for found in rows.values():
            found.finish()


def _blocks(
    readers: Mapping[str, Read], whole: Mapping[str, Array], count: int, spec: PolicySpec, path: Path
) -> Iterator[Observations]:
    """Give blocks of rows, of whole sequences where there is a memory."""
    states = whole.get("initial_states")
    sequences = count if spec.lstm_hidden_size is None or states is None else states.shape[2]
    step = count // sequences
    per_block = max(1, block_rows(spec.observation_space) // step)
    for begin in range(0, sequences, per_block):
        end = min(begin + per_block, sequences)
        found = {name: read((end - begin) * step) for name, read in readers.items()}
        found |= {name: array[:, :, begin:end] for name, array in whole.items()}
        yield _observations(found, spec, path)


def _observations(found: dict[str, Array], spec: PolicySpec, path: Path) -> Observations:
    kinds = parts(spec.observation_space)
    shown = {key: _shown(found.pop(_member(key)), space, path) for key, space in kinds.items()}
    masks, starts, states = (found.pop(name, None) for name in _INPUTS)
    if "final_states" in found:
        found["final_states"] = found["final_states"][:2]  # the critic's are SB3's own affair
    if isinstance(spec, ReplaySpec) and spec.use_sde and _is_at_bounds(found):
        # Of gSDE SB3 tells it by inverting tanh, so that near 1 it hangs on the last bits of the action.
        found.pop("log_prob", None)
    return Observations(shown, found, masks, starts, states)


def _is_at_bounds(found: Mapping[str, Array]) -> bool:
    sampled = found.get("sampled_action")
    return sampled is not None and bool((np.abs(sampled) > _BOUND).any())


def _member(key: str) -> str:
    return f"observation.{key}" if key else "observation"


def _shown(values: Array, space: Simple, path: Path) -> Array:
    """Give observations as the policy takes them; an image may have its channels last."""
    if values.shape[1:] != space.shape:
        values = np.ascontiguousarray(np.moveaxis(values, -1, 1))
    if not np.isfinite(values).all():
        raise NotPortable(f"{path} holds observations with NaN or infinite values")
    return values


@contextmanager
def refusing(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Say in one sentence that a file is damaged, by what reading it raises, or by others of that kind.

    Raises:
        NotPortable: It is.
    """
    damages: tuple[type[Exception], ...] = (*_DAMAGES, zipfile.BadZipFile, zlib.error, *others)
    try:
        yield
    except damages as error:
        why = str(error)[:200] or type(error).__name__
        raise NotPortable(f"{path} does not hold recorded observations ({why})") from error


def _check_shapes(shapes: Shapes, spec: PolicySpec, path: Path) -> int:
    """Check that all arrays fit each other and the policy; give the number of rows."""
    kinds = parts(spec.observation_space)
    for key, space in kinds.items():
        _check_observation(shapes.get(_member(key)), _member(key), space, path)
    count = shapes[_member(next(iter(kinds)))][0]
    rows = [name for name in shapes if name not in _PER_SEQUENCE]
    if not count or any(shapes[name][:1] != (count,) for name in rows):
        raise NotPortable(f"{path} does not hold one row of every output for each observation")
    _check_extras(shapes, spec, count, path)
    wanted = (count, *getattr(spec.action_space, "shape", ()))
    if np.prod(shapes.get("sampled_action", wanted)) != np.prod(wanted):
        raise NotPortable(f"{path} holds sampled actions of another shape than {wanted}")
    return count


def _check_observation(shape: tuple[int, ...] | None, name: str, space: Simple, path: Path) -> None:
    if shape is None:
        raise NotPortable(f"{path} does not hold recorded observations (no {name})")
    fitting = [space.shape, *([_channels_last(space)] if isinstance(space, Box) and space.is_image else [])]
    if shape[1:] not in fitting or not shape:
        raise NotPortable(
            f"{path} holds observations of shape {shape[1:]}, but the policy takes {space.shape}"
        )


def _channels_last(space: Box) -> tuple[int, ...]:
    channels, height, width = space.channels_first
    return (height, width, channels)


def _check_extras(shapes: Shapes, spec: PolicySpec, count: int, path: Path) -> None:
    """What was recorded with a mask or a memory means nothing without it."""
    needed = ("action_mask",) * spec.maskable
    needed += ("episode_starts", "initial_states") * (spec.lstm_hidden_size is not None)
    if any(name not in shapes for name in needed):
        raise NotPortable(f"{path} holds no action_mask, or no episode_starts and initial_states")
    if spec.maskable and shapes["action_mask"] != (count, mask_size(spec)):
        raise NotPortable(
            f"{path} holds masks of shape {shapes['action_mask']}, not {(count, mask_size(spec))}"
        )
    states = shapes["initial_states"] if "initial_states" in needed else (4, 1, 1, 1)
    if len(states) != 4 or not states[2] or count % states[2]:
        raise NotPortable(f"{path} holds states that are not those of sequences of equal length")
