"""The observations on which a port is compared with its source."""

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint import Array, Normalizer, PolicySpec, RunningMeanStd
from sb3port.errors import NotPortable, UsageError
from sb3port.features import mask_size
from sb3port.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Simple, parts

COUNT = 256
# Large images are fewer, so that a batch stays below some hundred megabytes.
_MIN_COUNT, _MAX_NUMBERS = 32, 2**23
N_SEQUENCES = 8
_STARTS, _ALLOWED = 0.1, 0.6


@dataclass(frozen=True)
class Observations:
    """Observations in the space's own shape and type, and what was recorded for them.

    Args:
        label: Where they come from, for the report.
        parts: Of shape `(n, *space.shape)` by the keys of a Dict space, under "" for any other space.
        recorded: Outputs that the SB3 of the checkpoint's own time gave, by name; empty where there are none.
        masks: Of a maskable policy: the allowed choices, bool `(n, choices)`.
        starts: Of a recurrent policy: where an episode starts, bool `(n,)`. The rows are sequences of equal
            length, one after the other.
        states: Of a recurrent policy: the states before the first rows, float32 `(4, layers, sequences,
            hidden)`: the actor's hidden and cell state, then the critic's.
    """

    label: str
    parts: Mapping[str, Array]
    recorded: dict[str, Array] = field(default_factory=dict)
    masks: Array | None = None
    starts: Array | None = None
    states: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    @property
    def values(self) -> Any:
        """The observations as SB3 takes them: an array, or a dictionary of arrays."""
        return self.parts[""] if "" in self.parts else dict(self.parts)

    @property
    def sha256(self) -> str:
        """Of all that the policies are given, so that a report can be tied to it."""
        digest = hashlib.sha256()
        for array in (*self.parts.values(), self.masks, self.starts, self.states):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def sampled_observations(spec: PolicySpec, normalizer: Normalizer | None, seed: int = 0) -> Observations:
    """Draw observations that the policy could meet, and some beyond.

    Around the running statistics where there are any (three standard deviations wide, so that some are
    clipped), else uniformly within finite bounds, else from a standard normal distribution. Masks and starts
    of episodes are drawn, too, and the states before the first rows are not zero.
    """
    rng = np.random.default_rng(seed)
    spaces = parts(spec.observation_space)
    statistics = normalizer.statistics if normalizer else {}
    numbers = sum(space.size for space in spaces.values())
    count = COUNT if numbers * COUNT <= _MAX_NUMBERS else _MIN_COUNT
    drawn = {key: _draw(space, statistics.get(key), count, rng) for key, space in spaces.items()}
    where = "around the running statistics" if statistics else "from the observation space"
    return replace(_extras(spec, count, rng), label=f"drawn {where}", parts=drawn)


def _draw(space: Simple, rms: RunningMeanStd | None, count: int, rng: np.random.Generator) -> Array:
    match space:
        case Box():
            return _draw_box(space, rms, count, rng)
        case Discrete(n):  # SB3 counts observations from 0, whatever the start of the space
            return rng.integers(0, n, count)
        case MultiDiscrete(nvec):
            return rng.integers(0, nvec, (count, *space.shape))
        case MultiBinary(shape):
            return rng.integers(0, 2, (count, *shape), dtype=np.int8)


def _draw_box(space: Box, rms: RunningMeanStd | None, count: int, rng: np.random.Generator) -> Array:
    noise = rng.standard_normal((count, *space.shape))
    if rms is not None:
        return _cast(rms.mean + 3 * np.sqrt(rms.var) * noise, space)
    finite = (np.abs(space.low.astype(np.float64)) < 1e6) & (np.abs(space.high.astype(np.float64)) < 1e6)
    low, high = np.where(finite, space.low, 0.0), np.where(finite, space.high, 1.0)
    uniform = low + (high - low) * rng.random(noise.shape)
    return _cast(np.where(finite, uniform, noise), space)


def _cast(values: Array, space: Box) -> Array:
    return np.clip(values, space.low, space.high).astype(space.dtype)


def _extras(spec: PolicySpec, count: int, rng: np.random.Generator) -> Observations:
    """Draw what only some policies are given beside observations."""
    if spec.maskable:
        return Observations("", {}, masks=_draw_masks(spec, count, rng))
    if spec.lstm_hidden_size is None:
        return Observations("", {})
    shape = (4, spec.n_lstm_layers, N_SEQUENCES, spec.lstm_hidden_size)
    starts = rng.random(count) < _STARTS
    starts[: count // N_SEQUENCES] = False  # one sequence without
    states = (0.5 * rng.standard_normal(shape)).astype(np.float32)
    return Observations("", {}, starts=starts, states=states)


def _draw_masks(spec: PolicySpec, count: int, rng: np.random.Generator) -> Array:
    """Allow some choices, at least one of each group of which one is made, and in the first row all."""
    masks = rng.random((count, mask_size(spec))) < _ALLOWED
    begin = 0
    for size in _groups(spec.action_space):
        chosen = rng.integers(0, size, count)
        masks[np.arange(count), begin + chosen] = True
        begin += size
    masks[0] = True
    return masks


def _groups(space: Any) -> list[int]:
    if isinstance(space, Discrete):
        return [space.n]
    return [2] * space.size if isinstance(space, MultiBinary) else space.nvec.tolist()


def recorded_observations(path: Path, spec: PolicySpec) -> Observations:
    """Read observations and recorded outputs from a `reference.npz`.

    Raises:
        UsageError: The file is absent.
        NotPortable: It is damaged, or does not fit the observation space.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise NotPortable(f"{path} does not hold recorded observations ({error})") from error
    return as_observations(arrays, spec, path)


def as_observations(arrays: dict[str, Array], spec: PolicySpec, path: Path) -> Observations:
    """Take what was recorded under the names of a `reference.npz`, and check it.

    Args:
        arrays: By name; those that are observations are taken out.
        spec: The policy's.
        path: Where they come from.

    Raises:
        NotPortable: They do not fit the policy.
    """
    _check_numbers(arrays, path)
    shown = _shown(arrays, spec, path)
    masks, starts, states = (
        arrays.pop(key, None) for key in ("action_mask", "episode_starts", "initial_states")
    )
    if "final_states" in arrays:
        arrays["final_states"] = arrays["final_states"][:2]  # the critic's are SB3's own affair
    _check_extras(spec, masks, (starts, states), path)
    _check_rows(arrays, len(next(iter(shown.values()))), spec, path)
    return Observations(f"recorded ({path.name})", shown, arrays, masks, starts, states)


def _check_numbers(arrays: Mapping[str, Array], path: Path) -> None:
    numbers = (np.number, np.bool_)
    kinds = [np.asarray(array).dtype for array in arrays.values()]
    if not all(any(np.issubdtype(kind, number) for number in numbers) for kind in kinds):
        raise NotPortable(f"{path} does not hold recorded observations, but arrays that are no numbers")


def _check_rows(arrays: Mapping[str, Array], count: int, spec: PolicySpec, path: Path) -> None:
    """One row of every output for each observation, and actions that fit their space, flat or not."""
    outputs = [name for name in ("action", "mode", "value", "log_prob", "entropy") if name in arrays]
    if any(arrays[name].shape[:1] != (count,) for name in outputs):
        raise NotPortable(f"{path} does not hold one row of every output for each observation")
    wanted = (count, *getattr(spec.action_space, "shape", ()))
    sampled = arrays.get("sampled_action", np.empty(wanted))
    if sampled.shape[:1] != (count,) or sampled.size != np.prod(wanted):
        raise NotPortable(f"{path} holds sampled actions of another shape than {wanted}")


def _shown(arrays: dict[str, Any], spec: PolicySpec, path: Path) -> dict[str, Array]:
    """Take the observations out of what was recorded; an image may have its channels last."""
    shown = {}
    for key, space in parts(spec.observation_space).items():
        name = f"observation.{key}" if key else "observation"
        if name not in arrays:
            raise NotPortable(f"{path} does not hold recorded observations (no {name})")
        values = arrays.pop(name)
        if isinstance(space, Box) and space.is_image and values.shape[1:] == _channels_last(space):
            values = np.ascontiguousarray(np.moveaxis(values, -1, 1))
        if values.shape[1:] != space.shape or not len(values):
            raise NotPortable(
                f"{path} holds observations of shape {values.shape[1:]}, but the policy takes {space.shape}"
            )
        if not np.isfinite(values).all():
            raise NotPortable(f"{path} holds observations with NaN or infinite values")
        shown[key] = values
    return shown


def _channels_last(space: Box) -> tuple[int, ...]:
    channels, height, width = space.channels_first
    return (height, width, channels)


def _check_extras(
    spec: PolicySpec, masks: Array | None, memory: tuple[Array | None, Array | None], path: Path
) -> None:
    """What was recorded with a mask or a memory means nothing without it."""
    lacks_mask = spec.maskable and masks is None
    lacks_memory = spec.lstm_hidden_size is not None and None in [None if m is None else 0 for m in memory]
    if lacks_mask or lacks_memory:
        raise NotPortable(f"{path} holds no action_mask, or no episode_starts and initial_states")
