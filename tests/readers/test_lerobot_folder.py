"""A policy that LeRobot trained and saved is read like a port, though LeRobot keeps less of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.commands.convert import ConvertOptions, convert
from sb3port.commands.policies import read_policy
from sb3port.errors import NotPortable, UsageError
from sb3port.files.port_files import PORT_FILE
from sb3port.ports.manifest import normalizer_json, spec_json

FIXTURES = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port"


@pytest.fixture
def port(tmp_path: Path) -> tuple[Path, Checkpoint]:
    """A port of which only LeRobot's own files are left."""
    folder, options = tmp_path / "port", ConvertOptions(verify=False)
    checkpoint = convert(str(FIXTURES / "ppo-Pendulum-v1"), folder, options, lambda *_: None).checkpoint
    (folder / PORT_FILE).unlink()
    return folder, checkpoint


def test_what_computes_is_read(port: tuple[Path, Checkpoint]) -> None:
    folder, original = port
    again = read_policy(folder)
    assert {**spec_json(again.spec), "assumed": []} == {**spec_json(original.spec), "assumed": []}
    assert list(again.tensors) == list(original.tensors)
    assert all(np.array_equal(again.tensors[name], array) for name, array in original.tensors.items())
    assert again.normalizer is not None
    assert original.normalizer is not None
    ours, theirs = (normalizer_json(c.normalizer) for c in (again, original))
    assert ours is not None
    assert theirs is not None
    assert (ours["clip_obs"], ours["epsilon"]) == (theirs["clip_obs"], theirs["epsilon"])
    for part in ("mean", "var", "count"):
        found = [getattr(n.statistics[""], part) for n in (again.normalizer, original.normalizer)]
        assert np.array_equal(*found)
    assert "trained by LeRobot" in again.warnings[0]


def test_there_is_nothing_to_convert(port: tuple[Path, Checkpoint], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a port already"):
        convert(str(port[0]), tmp_path / "other", ConvertOptions(), lambda *_: None)


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("config.json", "type", "act", "of type act, not ppo"),
        ("config.json", "net_arch", {"pi": [64, 64], "vf": [64]}, "do not fit"),
        ("config.json", "optimizer_lr", "fast", "damaged"),
        ("policy_preprocessor.json", "steps", None, "damaged"),
    ],
)
def test_damaged_ones_are_refused(
    port: tuple[Path, Checkpoint], name: str, field: str, value: object, message: str
) -> None:
    path = port[0] / name
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(NotPortable, match=message):
        read_policy(port[0])


def test_statistics_lie_in_the_folder_itself(port: tuple[Path, Checkpoint]) -> None:
    path = port[0] / "policy_preprocessor.json"
    content = json.loads(path.read_text())
    step = next(step for step in content["steps"] if step["registry_name"] == "sb3port_vec_normalize")
    step["state_file"] = "../elsewhere.safetensors"
    path.write_text(json.dumps(content))
    with pytest.raises(NotPortable, match="elsewhere"):
        read_policy(port[0])
