"""A port read back is the checkpoint that it was made of, and a damaged one is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec
from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.policies import ReadOptions, read_policy
from sb3port.errors import NotPortable, UsageError
from sb3port.files.port_files import STATISTICS_FILE
from sb3port.ports.manifest import normalizer_json, spec_json

STATE = "training_state/optimizer_state.safetensors"
GROUPS = "training_state/optimizer_param_groups.json"
BOX = {"type": "Box", "dtype": "float32", "low": 0.0, "high": 1.0}
FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"


def ported(name: str, folder: Path) -> Checkpoint:
    return convert(str(FIXTURES / name), folder, ConvertOptions(verify=False), lambda *_: None).checkpoint


@pytest.mark.parametrize("name", ["ppo-Pendulum-v1", "ppo-CartPole-v1"])
def test_port_is_the_checkpoint_that_it_was_made_of(name: str, tmp_path: Path) -> None:
    original = ported(name, tmp_path / "port")
    again = read_policy(tmp_path / "port")
    assert spec_json(again.spec) == spec_json(original.spec)
    assert again.training == original.training
    assert again.warnings == original.warnings
    assert again.environment == original.environment
    assert again.environment.env_id == name.removeprefix("ppo-")
    assert again.configured == original.configured
    assert again.configured is not None
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


def test_port_of_before_environments_were_noted(tmp_path: Path) -> None:
    ported("ppo-Pendulum-v1", tmp_path / "port")
    path = tmp_path / "port" / "sb3port.json"
    content = json.loads(path.read_text())
    del content["environment"], content["configured"]
    path.write_text(json.dumps(content))
    again = read_policy(tmp_path / "port")
    assert (again.environment, again.configured) == (EnvironmentSpec(), None)


def edit(name: str, **fields: Any) -> Callable[[Path], None]:
    def damage(port: Path) -> None:
        content = json.loads((port / name).read_text())
        (port / name).write_text(json.dumps({**content, **fields}))

    return damage


def edit_source(**fields: Any) -> Callable[[Path], None]:
    def damage(port: Path) -> None:
        source = json.loads((port / "sb3port.json").read_text())["source"]
        edit("sb3port.json", source={**source, **fields})(port)

    return damage


def edit_training(**fields: Any) -> Callable[[Path], None]:
    def damage(port: Path) -> None:
        training = json.loads((port / "sb3port.json").read_text())["training"]
        edit("sb3port.json", training={**training, **fields})(port)

    return damage


def edit_normalizer(**fields: Any) -> Callable[[Path], None]:
    def damage(port: Path) -> None:
        normalizer = json.loads((port / "sb3port.json").read_text())["normalizer"]
        edit("sb3port.json", normalizer={**normalizer, **fields})(port)

    return damage


def rename_algorithm(port: Path) -> None:
    spec = json.loads((port / "sb3port.json").read_text())["spec"]
    edit("sb3port.json", spec={**spec, "algorithm": "sac"})(port)


def rename_state(port: Path, prefix: str) -> None:
    state = load_file(port / STATE)
    save_file({key.replace("state/0/", prefix): array for key, array in state.items()}, port / STATE)


def negate(port: Path) -> None:
    statistics = load_file(port / STATISTICS_FILE)
    save_file({key: np.asarray(-array) for key, array in statistics.items()}, port / STATISTICS_FILE)


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
    "a source without files": edit_source(files={}),
    "a source without a hash": edit_source(files={"checkpoint": {"name": "a.zip", "size": 1, "sha256": ""}}),
    "a source nowhere": edit_source(location=5),
    "a source of another kind": edit_source(kind="ftp"),
    "a system that is none": edit_source(system_info=5),
    "reasons that are none": edit_source(ignored="all"),
    "another algorithm": rename_algorithm,
    "a normaliser without a number": edit_normalizer(epsilon=None),
    "a normaliser that clips at nothing": edit_normalizer(clip_obs=float("nan")),
    "settings that are none": edit("sb3port.json", training=5),
    "a setting that is no number": edit_training(hyperparameters={"n_steps": "many"}),
    "a setting without end": edit_training(hyperparameters={"gamma": float("inf")}),
    "an optimiser of more parameters": lambda port: rename_state(port, "state/99/"),
    "an optimiser of parameters before the first": lambda port: rename_state(port, "state/-1/"),
    "an optimiser without its groups": lambda port: (port / GROUPS).unlink(),
    "an endless configuration": lambda port: (port / "config.json").write_text("[" * 100_000),
    "an endless space": edit("config.json", observation_space={**BOX, "shape": [10**13]}),
    "a space without end": edit("config.json", observation_space={**BOX, "shape": [float("inf")]}),
    "an activation that is none": edit("config.json", activation_fn="MultiheadAttention"),
    "a negative variance": negate,
    "an environment of the wrong kind": edit("sb3port.json", environment={"env_id": 5}),
    "a frame stack of the wrong kind": edit("sb3port.json", environment={"frame_stack": "4"}),
    "a wrapper without arguments": edit("sb3port.json", environment={"wrappers": [{"name": "x"}]}),
    "configured settings that are none": edit("sb3port.json", configured=[1]),
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
    with pytest.raises(NotPortable, match=r"port|algorithm"):
        read_policy(tmp_path / "port")


def test_port_is_not_ported_again(tmp_path: Path) -> None:
    ported("ppo-Pendulum-v1", tmp_path / "port")
    with pytest.raises(UsageError, match="is a port already"):
        convert(str(tmp_path / "port"), tmp_path / "other", ConvertOptions(), lambda *_: None)
    with pytest.raises(UsageError, match="which holds one policy"):
        read_policy(str(tmp_path / "port"), ReadOptions(use_stats=False))
