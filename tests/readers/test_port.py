"""A port read back is the checkpoint that it was made of, and a damaged one is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.checkpoint import Checkpoint
from sb3port.conversion import ConvertOptions, convert, read
from sb3port.errors import NotPortable, UsageError
from sb3port.port import normalizer_json, spec_json
from sb3port.readers.source import SourceOptions

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"


def ported(name: str, folder: Path) -> Checkpoint:
    return convert(str(FIXTURES / name), folder, ConvertOptions(verify=False), lambda *_: None).checkpoint


@pytest.mark.parametrize("name", ["ppo-Pendulum-v1", "ppo-CartPole-v1"])
def test_port_is_the_checkpoint_that_it_was_made_of(name: str, tmp_path: Path) -> None:
    original = ported(name, tmp_path / "port")
    again = read(str(tmp_path / "port"), SourceOptions())
    assert spec_json(again.spec) == spec_json(original.spec)
    assert again.training == original.training
    assert again.warnings == original.warnings
    assert again.provenance == replace(original.provenance, imports=())  # which are those of the pickles
    assert list(again.tensors) == list(original.tensors)
    for key, array in original.tensors.items():
        assert again.tensors[key].tobytes() == array.tobytes()
    assert normalizer_json(again.normalizer) == normalizer_json(original.normalizer)
    if original.normalizer is not None:
        assert again.normalizer is not None
        for part in ("mean", "var", "count"):
            ours, theirs = (getattr(c.normalizer.obs_rms, part) for c in (again, original))
            assert np.array_equal(ours, theirs)
    assert original.optimizer is not None
    assert again.optimizer is not None
    assert again.optimizer.state.keys() == original.optimizer.state.keys()
    for key, tensors in original.optimizer.state.items():
        for part, value in tensors.items():
            assert np.array_equal(again.optimizer.state[key][part], value), (key, part)


def edit(name: str, **fields: Any) -> Callable[[Path], None]:
    def damage(port: Path) -> None:
        content = json.loads((port / name).read_text())
        (port / name).write_text(json.dumps({**content, **fields}))

    return damage


def drop_tensor(port: Path) -> None:
    tensors = load_file(port / "model.safetensors")
    del tensors["action_net.bias"]
    save_file(tensors, port / "model.safetensors")


def not_a_number(port: Path) -> None:
    tensors = load_file(port / "model.safetensors")
    tensors["action_net.bias"][0] = np.nan
    save_file(tensors, port / "model.safetensors")


DAMAGE = {
    "another shape": edit("config.json", net_arch={"pi": [32], "vf": [64, 64]}),
    "no spaces": edit("config.json", action_space=None),
    "an unknown space": edit("config.json", action_space={"type": "Text"}),
    "no source": edit("sb3port.json", source=None),
    "no format": edit("sb3port.json", format=None),
    "a newer format": edit("sb3port.json", format=99),
    "an unknown schedule": edit(
        "sb3port.json", training={"schedules": {"learning_rate": {"type": "Cosine"}}}
    ),
    "a tensor missing": drop_tensor,
    "a weight that is no number": not_a_number,
    "half a file": lambda port: (port / "model.safetensors").write_bytes(b"half"),
    "no JSON": lambda port: (port / "config.json").write_text("{"),
    "no configuration": lambda port: (port / "config.json").unlink(),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_port_is_refused(name: str, tmp_path: Path) -> None:
    ported("ppo-Pendulum-v1", tmp_path / "port")
    DAMAGE[name](tmp_path / "port")
    with pytest.raises(NotPortable, match="port"):
        read(str(tmp_path / "port"), SourceOptions())


def test_port_is_not_ported_again(tmp_path: Path) -> None:
    ported("ppo-Pendulum-v1", tmp_path / "port")
    with pytest.raises(UsageError, match="is a port already"):
        convert(str(tmp_path / "port"), tmp_path / "other", ConvertOptions(), lambda *_: None)
    with pytest.raises(UsageError, match="which holds one policy"):
        read(str(tmp_path / "port"), SourceOptions(), use_stats=False)
