"""What the reader tests share: checkpoints made by today's SB3, and how they are read."""

import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from gymnasium import Env, spaces

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

BOX = spaces.Box(-1.0, 1.0, (3,))


class Still(Env[Any, Any]):
    """An environment of any spaces in which nothing happens."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, True, False, {}


def save(
    algorithm: type[Any],
    path: Path,
    policy: Any = "MlpPolicy",
    observation: spaces.Space[Any] = BOX,
    action: spaces.Space[Any] = BOX,
    **kwargs: Any,
) -> Path:
    """Save an untrained model of tiny nets as SB3 does."""
    torch.manual_seed(0)
    kwargs = {"policy_kwargs": {"net_arch": [4]}, "device": "cpu", **kwargs}
    algorithm(policy, Still(observation, action), **kwargs).save(path)
    return path


def read(path: Path, **options: Any) -> Checkpoint:
    """Read a checkpoint from a zip or folder as the command line does."""
    return read_checkpoint(resolve(str(path), SourceOptions(**options)))


def change(source: Path, dest: Path, data: dict[str, Any] | None = None, **members: bytes) -> Path:
    """Copy a zip, with some of its settings and members replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(dest, "w") as new:
        for name in old.namelist():
            raw = members.get(name.replace(".", "_"), old.read(name))
            if name == "data" and data is not None:
                raw = json.dumps(json.loads(raw) | data).encode()
            new.writestr(name, raw)
    return dest
