"""What differs between two checkpoints, such as one that was written and the one that is read back."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sb3port.checkpoint import Array, Checkpoint, Normalizer, OptimizerState
from sb3port.port import normalizer_json, spec_json
from sb3port.schedules import schedule_to_json


def differences(one: Checkpoint, other: Checkpoint) -> list[str]:
    """Name every field, tensor and setting in which another checkpoint differs from one.

    Settings that only the other has are not counted: SB3 writes its defaults for those that older versions
    did not have.
    """
    return [
        *(f"spec.{name}" for name in _different(spec_json(one.spec), spec_json(other.spec))),
        *(f"tensor {name}" for name in _different_arrays(one.tensors, other.tensors)),
        *(f"normalizer.{name}" for name in _of_normalizers(one.normalizer, other.normalizer)),
        *(f"training.{name}" for name in _of_training(one, other)),
        *(f"optimizer.{name}" for name in _of_optimizers(one.optimizer, other.optimizer)),
    ]


def _different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [name for name, value in one.items() if name not in other or _plain(value) != _plain(other[name])]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _different_arrays(one: Mapping[str, Array], other: Mapping[str, Array]) -> Iterator[str]:
    """Name what only one has, and what differs in a bit, in type or in shape."""
    for name in dict.fromkeys((*one, *other)):
        if name not in one or name not in other or not _same_bits(one[name], other[name]):
            yield name


def _same_bits(one: Array, other: Array) -> bool:
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def _of_normalizers(one: Normalizer | None, other: Normalizer | None) -> Iterator[str]:
    if one is None or other is None:
        yield from ["presence"] * (one is not other)
        return
    settings = normalizer_json(one) or {}, normalizer_json(other) or {}
    yield from _different(*settings)
    yield from _different_arrays(*(_statistics(normalizer) for normalizer in (one, other)))


def _statistics(normalizer: Normalizer) -> dict[str, Array]:
    return {
        f"obs_rms.{key}.{name}": np.asarray(getattr(rms, name), np.float64)
        for key, rms in normalizer.statistics.items()
        for name in ("mean", "var", "count")
    }


def _of_training(one: Checkpoint, other: Checkpoint) -> Iterator[str]:
    ours, theirs = one.training, other.training
    yield from _different(ours.hyperparameters, theirs.hyperparameters)
    schedules = [{k: schedule_to_json(s) for k, s in t.schedules.items()} for t in (ours, theirs)]
    yield from _different(*schedules)
    if ours.optimizer_class != theirs.optimizer_class:
        yield "optimizer_class"
    yield from _different(ours.optimizer_kwargs, theirs.optimizer_kwargs)


def _of_optimizers(one: OptimizerState | None, other: OptimizerState | None) -> Iterator[str]:
    if one is None:
        return
    if other is None:
        yield "presence"
        return
    yield from _different(one.group, other.group)
    for name in dict.fromkeys((*one.state, *other.state)):
        ours, theirs = one.state.get(name, {}), other.state.get(name, {})
        # A step count is a plain number in old files.
        if ours.keys() != theirs.keys() or not all(np.array_equal(ours[k], theirs[k]) for k in ours):
            yield name
