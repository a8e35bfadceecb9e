"""The observations on which a port is compared with its source."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sb3port.checkpoint import Array, Normalizer, PolicySpec
from sb3port.errors import NotPortable, UsageError
from sb3port.spaces import Box

COUNT = 256


@dataclass(frozen=True)
class Observations:
    """Observations in the space's own shape and type, and what was recorded for them.

    Args:
        label: Where they come from, for the report.
        values: Of shape `(n, *observation_space.shape)`.
        recorded: Outputs that the SB3 of the checkpoint's own time gave, by name; empty where there are none.
    """

    label: str
    values: Array
    recorded: dict[str, Array]


def sampled_observations(spec: PolicySpec, normalizer: Normalizer | None, seed: int = 0) -> Observations:
    """Draw observations that the policy could meet, and some beyond.

    Around the running statistics where there are any (three standard deviations wide, so that some are
    clipped), else uniformly within finite bounds, else from a standard normal distribution.
    """
    space = spec.observation_space
    assert isinstance(space, Box)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((COUNT, *space.shape))
    if normalizer is not None and normalizer.obs_rms is not None:
        rms = normalizer.obs_rms
        return Observations(
            "drawn around the running statistics", _cast(rms.mean + 3 * np.sqrt(rms.var) * noise, space), {}
        )
    finite = (np.abs(space.low) < 1e6) & (np.abs(space.high) < 1e6)
    low, high = np.where(finite, space.low, 0.0), np.where(finite, space.high, 1.0)
    uniform = low + (high - low) * rng.random(noise.shape)
    return Observations(
        "drawn from the observation space", _cast(np.where(finite, uniform, noise), space), {}
    )


def _cast(values: Array, space: Box) -> Array:
    return np.clip(values, space.low, space.high).astype(space.dtype)


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
            values = arrays.pop("observation")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise NotPortable(f"{path} does not hold recorded observations ({error})") from error
    _check_shapes(values, arrays, spec, path)
    return Observations(f"recorded ({path.name})", values, arrays)


def _check_shapes(values: Any, arrays: Mapping[str, Any], spec: PolicySpec, path: Path) -> None:
    numeric = all(np.issubdtype(array.dtype, np.number) for array in (values, *arrays.values()))
    if not numeric or any(len(array) != len(values) for array in arrays.values() if array.ndim):
        raise NotPortable(f"{path} holds arrays that are no numbers, or not one row per observation")
    shape = getattr(spec.observation_space, "shape", ())
    if values.shape[1:] != shape or not len(values):
        raise NotPortable(
            f"{path} holds observations of shape {values.shape[1:]}, but the policy takes {shape}"
        )
    if not np.isfinite(values).all():
        raise NotPortable(f"{path} holds observations with NaN or infinite values")
    actions = (len(values), *getattr(spec.action_space, "shape", ()))
    if "sampled_action" in arrays and arrays["sampled_action"].shape != actions:
        raise NotPortable(f"{path} holds sampled actions of another shape than {actions}")
