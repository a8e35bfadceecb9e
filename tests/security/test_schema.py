"""What the JSON of a port may hold: each key, its type and its range; what is odd is named in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from sb3port.errors import NotPortable
from sb3port.ports.reading import read_port

from ..ports import port_of
from .hostile import Victim

NAN = float("nan")
CONFIG: tuple[tuple[str, Any, str], ...] = (
    ("unknown", 1, "the key 'unknown', which sb3port does not know"),
    ("use_sde", "maybe", "use_sde is 'maybe', where true or false is expected"),
    ("n_obs_steps", 10**400, "n_obs_steps is a number of very many digits"),
    ("log_std_init", NAN, "log_std_init is nan"),
    ("device", "cpu; rm -rf /", "device is"),
    ("activation_fn", 3, "activation_fn is 3"),
    ("net_arch", {"pi": [64, 0], "vf": []}, "net_arch.pi[1] is 0"),
    ("net_arch", {"pi": [64], "vf": [], "x": []}, "net_arch has the key 'x'"),
    ("lstm_hidden_size", True, "lstm_hidden_size is True"),
    ("observation_space", {"type": "Text"}, "observation_space.type is 'Text'"),
    ("observation_space", [], "observation_space is a list of 0"),
    ("input_features", {"a": {"type": "ZZZ", "shape": [3]}}, "input_features.a.type is 'ZZZ'"),
    ("normalization_mapping", {"STATE": "X"}, "normalization_mapping.STATE is 'X'"),
    ("features_extractor_kwargs", [["a", 1]], "features_extractor_kwargs is a list of 1"),
)
PORT: tuple[tuple[str, Any, str], ...] = (
    ("more", 1, "the key 'more'"),
    ("warnings", [1], "warnings[0] is 1"),
    ("warnings", "\x1b]0;x\x07", "warnings is '\\x1b]0;x\\x07'"),
    ("files", {"../../etc/passwd": "0" * 64}, "a key of files is '../../etc/passwd'"),
    ("files", {"config.json": "0"}, "files.config.json is '0'"),
    ("tensors", "log_std", "tensors is 'log_std'"),
    ("normalizer", {"norm_obs": True, "ret_rms": None, "gamma": NAN}, "normalizer.gamma is nan"),
    ("environment", {"env_id": 5}, "environment.env_id is 5"),
    ("environment", {"env_kwargs": {"a": NAN}}, "environment.env_kwargs.a is nan"),
    ("configured", {"schedules": {"a": {"type": "os.system"}}}, "configured.hyperparameters is None"),
)


@pytest.fixture
def port(victim: Victim, tmp_path: Path) -> Path:
    """A port of the victim."""
    return port_of(victim.folder, tmp_path / "port", verify=False).port


def refused(port: Path, name: str, key: str, value: Any) -> str:
    """Put a value into a file of a port; give what is said of it."""
    path = port / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(NotPortable) as caught:
        read_port(port)
    assert caught.value.exit_code == 4
    assert str(path) in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(("key", "value", "said"), CONFIG)
def test_config_json(key: str, value: Any, said: str, port: Path) -> None:
    assert said in refused(port, "config.json", key, value)


@pytest.mark.parametrize(("key", "value", "said"), PORT)
def test_sb3port_json(key: str, value: Any, said: str, port: Path) -> None:
    message = refused(port, "sb3port.json", key, value)
    assert said in message.replace("\\\\", "\\")


@pytest.mark.parametrize("name", ["config.json", "sb3port.json", "policy_preprocessor.json"])
@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff", b"3", b'{"a": 1'])
def test_what_is_no_such_json(name: str, content: bytes, port: Path) -> None:
    (port / name).write_bytes(content)
    with pytest.raises(NotPortable, match="damaged"):
        read_port(port)
