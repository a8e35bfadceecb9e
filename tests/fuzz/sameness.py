"""Whether a checkpoint that was written and read again is the same: to the bit, and in all that it says."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from sb3port.checkpoint.checkpoint import Checkpoint

# Which globals the pickles named is shown by `inspect` and `convert`; ports do not keep it.
_NOT_KEPT = frozenset({"provenance.imports"})


def differences(written: Checkpoint, read: Checkpoint) -> list[str]:
    """List the fields that differ, as paths such as `spec.action_space.low`."""
    return list(_apart(written, read, ""))


def _apart(a: Any, b: Any, path: str) -> Iterator[str]:
    if path in _NOT_KEPT:
        return
    if is_dataclass(a) and type(a) is type(b):
        for field in fields(a):
            yield from _apart(
                getattr(a, field.name), getattr(b, field.name), f"{path}.{field.name}".lstrip(".")
            )
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        yield from _mappings_apart(a, b, path)
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            yield f"{path}: {len(a)} and {len(b)} items"
        for index, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from _apart(one, other, f"{path}[{index}]")
    elif not _is_same(a, b, path):
        yield path


def _mappings_apart(a: Mapping[Any, Any], b: Mapping[Any, Any], path: str) -> Iterator[str]:
    if list(a) != list(b) and (set(a) != set(b) or path in ("tensors", "spec.observation_space.spaces")):
        yield f"{path}: other names, or in another order"
        return
    for key in a:
        yield from _apart(a[key], b[key], f"{path}.{key}".lstrip("."))


def _is_same(a: Any, b: Any, path: str) -> bool:
    if path.startswith("optimizer.state."):  # a step count is a plain number before torch 1.12
        b = np.asarray(b)
        a = a if isinstance(a, np.ndarray) else np.asarray(a, np.float32)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())
    if isinstance(a, float) and isinstance(b, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes() or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and bool(a == b)
