"""What fuzzing found, one small file for each kind."""

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port import load_policy
from sb3port.checkpoint.checkpoint import Checkpoint, OptimizerState
from sb3port.checkpoint.spaces import space_from_json
from sb3port.errors import NotPortable, Sb3portError
from sb3port.families.parameters import Parameters
from sb3port.ports.difference import difference
from sb3port.ports.reading import read_port
from sb3port.ports.writing import write_port
from sb3port.readers.formats.archive import Archive
from sb3port.readers.formats.arrays import as_array
from sb3port.readers.formats.records import Global, Record
from sb3port.readers.formats.tensors import read_torch
from sb3port.readers.meaning import training
from sb3port.readers.meaning.published import published_result
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve
from tests.conftest import REPOSITORY

from .hostile import Victim, assert_refused, bounded, pack, unpack_bytes

ERAS = REPOSITORY / "fixtures" / "eras"


@pytest.mark.parametrize("name", ["ent_coef", "gamma", "num_timesteps", "n_epochs"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "auto"])
def test_a_setting_that_is_no_number(name: str, value: Any, victim: Victim) -> None:
    """It was written as a port that could not be read."""
    victim.set(**{name: value})
    assert name in assert_refused(victim).message


def _again(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Write a checkpoint as a port, and read that."""
    folder.mkdir()
    write_port(checkpoint, folder)
    again = read_port(folder)
    assert difference(checkpoint, again).equal
    return again


@pytest.mark.parametrize("value", [float("inf"), -1.0, None, True, 10**300, -(10**300)])
def test_a_setting_that_a_port_keeps(value: Any, victim: Victim, tmp_path: Path) -> None:
    victim.set(max_grad_norm=value)
    again = _again(victim.read(), tmp_path / "port")
    assert again.training.hyperparameters["max_grad_norm"] == value


def test_observations_that_are_not_clipped(victim: Victim, tmp_path: Path) -> None:
    checkpoint = victim.read()
    assert checkpoint.normalizer is not None
    unclipped = replace(checkpoint, normalizer=replace(checkpoint.normalizer, clip_obs=float("inf")))
    again = _again(unclipped, tmp_path / "port")
    assert again.normalizer is not None
    assert again.normalizer.clip_obs == float("inf")
    policy = load_policy(tmp_path / "port", backend="numpy")
    assert np.isfinite(policy.predict(np.full((1, 3), 1e6, np.float32))[0]).all()


def test_an_infinite_epsilon(victim: Victim) -> None:
    path = victim.folder / "vec_normalize.pkl"
    raw = path.read_bytes()
    at = raw.index(b"epsilon")
    at = raw.index(b"G", at)
    path.write_bytes(raw[:at] + b"G" + struct.pack(">d", float("inf")) + raw[at + 9 :])
    assert "epsilon is infinite" in assert_refused(victim).message


def test_a_tensor_whose_size_is_a_flag(victim: Victim) -> None:
    inner = unpack_bytes(victim.members["policy.pth"])
    name = next(name for name in inner if name.endswith("/data.pkl"))
    flag = inner[name].replace(b"K@K\x03\x86", b"K@\x88\x86", 1)
    assert flag != inner[name]
    with pytest.raises(NotPortable, match="without a proper offset, size and stride"):
        read_torch(pack(inner | {name: flag}), "it")


def test_a_published_return_over_infinitely_many_episodes(victim: Victim) -> None:
    checkpoint = victim.read()
    infinite = '{"mean_reward": 1, "std_reward": 1, "n_eval_episodes": Infinity}'
    (victim.folder / "results.json").write_text(infinite, encoding="utf-8")
    assert published_result(checkpoint.provenance) is None


def test_a_message_is_one_line_without_control_characters() -> None:
    error = Sb3portError("a\x1b[31m\nb\u202e", "c\x00")
    assert (error.message, str(error), error.hint) == ("a\\x1b[31m\\nb\\u202e",) * 2 + ("c\\x00",)


def test_a_message_is_not_longer_than_a_page() -> None:
    assert Sb3portError("x" * 2000).message == "x" * 2000
    assert Sb3portError("x" * 10**6).message == "x" * 2000 + "… (998,000 more characters)"
    assert len(Sb3portError("\x00" * 10**6).message) < 2100


def _optimizer(state: Any, settings: dict[str, Any], patch: pytest.MonkeyPatch) -> OptimizerState | None:
    """Read an optimiser of two parameters, which torch is said to have saved so."""
    saved = {"state": state, "param_groups": [{"params": [0, 1], **settings}]}
    patch.setattr(training, "read_torch", lambda *_: (saved, frozenset()))
    archive = Archive("it", {}, {}, {"policy.optimizer.pth": b""})
    return training.read_optimizer(archive, Parameters(((2,), (3,))))[0]


def test_an_optimisers_row_with_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port has no place for it, so that it came back without it."""
    found = _optimizer({0: {"step": None}, 1: {"step": 1.0}}, {"lr": 1e-3}, monkeypatch)
    assert found is not None
    assert found.state == {1: {"step": 1.0}}


@pytest.mark.parametrize("key", ["a/b", "\x1b[31m", 5])
def test_an_optimisers_state_of_a_name_that_is_none(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port writes it as the name of a tensor."""
    assert _optimizer({0: {key: 1.0}}, {"lr": 1e-3}, monkeypatch) is None


@pytest.mark.parametrize("settings", [{"lr": np.zeros(1)}, {"betas": [{5: 1}]}, {5: 1}], ids=str)
def test_an_optimisers_setting_that_is_none(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port writes it as JSON."""
    assert _optimizer({}, settings, monkeypatch) is None
    assert _optimizer({}, {"lr": 1e-3, "betas": (0.9, None), "fused": None}, monkeypatch) is not None


def test_a_bound_that_its_dtype_does_not_have() -> None:
    """It became infinite, with a warning of NumPy's."""
    box = {"type": "Box", "shape": [2], "dtype": "float32", "low": -1.0, "high": 1e308}
    with pytest.raises(NotPortable, match="overflow"):
        space_from_json(box)
    assert np.isinf(space_from_json(box | {"high": float("inf")}).high).all()  # type: ignore[union-attr]


def test_an_array_whose_shape_is_a_flag() -> None:
    dtype = Record(Global("numpy", "dtype"), ("f4",))
    array = Record(
        Global("numpy.core.multiarray", "_reconstruct"), (), states=[(1, (True,), dtype, False, b"abcd")]
    )
    with pytest.raises(NotPortable):
        as_array(array)


@pytest.mark.parametrize("layers", [101, 2**31, 10**30])
def test_an_lstm_of_endlessly_many_layers(layers: int, tmp_path: Path) -> None:
    """The shapes of all of them were written out."""
    recurrent = ERAS / "2.9.2" / "ppo_lstm-two-layers"
    _again(read_checkpoint(resolve(str(recurrent), SourceOptions())), tmp_path / "port")
    config = json.loads((tmp_path / "port" / "config.json").read_text())
    (tmp_path / "port" / "config.json").write_text(json.dumps(config | {"n_lstm_layers": layers}))
    with bounded(), pytest.raises(NotPortable, match=r"from 1 to 1,000 is expected|which no policy has"):
        read_port(tmp_path / "port")
