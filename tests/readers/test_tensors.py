"""torch's files of every kind: what torch before 1.6 wrote, shared storages, and types that are not read."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sb3port.errors import NotPortable
from sb3port.readers.formats.pickles import TORCH_MAGIC
from sb3port.readers.formats.tensors import read_torch

from .making import read


def saved(value: Any, legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


FLAT = torch.arange(24.0)
STATES: dict[str, Any] = {
    "types": {
        name: torch.arange(6).reshape(2, 3).to(dtype)
        for name, dtype in (("f", torch.float32), ("d", torch.float64), ("i", torch.int64), ("b", torch.bool))
    },
    "views of one storage": {"a": FLAT[:12].view(3, 4), "b": FLAT[12:].view(4, 3).T, "c": FLAT},
    "aliases": dict.fromkeys(("features_extractor.w", "pi_features_extractor.w"), FLAT),
    "empty": {},
    "nothing in it": {"w": torch.empty(0, 3)},
    "a number": {"w": torch.tensor(3.5)},
    "an optimizer": {
        "state": {0: {"step": 7, "exp_avg": FLAT}},
        "param_groups": [{"lr": 1e-3, "params": [0]}],
    },
}


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, torch.Tensor):
        expected = theirs.numpy()
        assert (ours.dtype, ours.shape) == (expected.dtype, expected.shape)
        return bool(np.array_equal(ours, expected))
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return all(same(*pair) for pair in zip(ours, theirs, strict=True))
    return bool(ours == theirs)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", STATES)
def test_what_torch_saves(name: str, legacy: bool) -> None:
    raw = saved(STATES[name], legacy)
    assert raw.startswith(TORCH_MAGIC if legacy else b"PK")
    assert same(read_torch(raw, "test")[0], STATES[name])


@pytest.mark.parametrize("legacy", [False, True])
def test_half_precision_of_brains_is_refused(legacy: bool) -> None:
    with pytest.raises(NotPortable, match="BFloat16Storage"):
        read_torch(saved({"w": torch.ones(2, dtype=torch.bfloat16)}, legacy), "test")


def test_a_zip_of_the_first_days(pendulum: Path, tmp_path: Path) -> None:
    """SB3 0.6 with torch 1.5: no version, `tensors.pth`, and no zip within the zip."""
    source = pendulum / "ppo-Pendulum-v1.zip"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "old.zip", "w") as new:
        new.writestr("data", old.read("data"))
        for name in ("policy.pth", "policy.optimizer.pth"):
            state = torch.load(io.BytesIO(old.read(name)), weights_only=True)
            new.writestr(name, saved(state, legacy=True))
        new.writestr("tensors.pth", saved({}, legacy=True))
    found, expected = read(tmp_path / "old.zip", vecnormalize=pendulum / "vec_normalize.pkl"), read(source)
    assert found.provenance.sb3_version is None
    assert list(found.tensors) == list(expected.tensors)
    for name, array in expected.tensors.items():
        assert found.tensors[name].tobytes() == array.tobytes()
    assert found.optimizer is not None
    assert expected.optimizer is not None
    for number, state in expected.optimizer.state.items():
        for key, value in state.items():
            assert np.array_equal(found.optimizer.state[number][key], value)
