"""Files that are no checkpoints, or broken ones."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 141090\n" % (b"0" * 64)


def rewrite(source: Path, dest: Path, changed: Mapping[str, bytes]) -> Path:
    """Copy a zip with some members replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(dest, "w") as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name, old.read(name)))
    return dest


def zip_of(dest: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(dest, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return dest


def with_weight(source: Path, dest: Path, value: float) -> Path:
    """Copy an SB3 zip with one weight set."""
    with zipfile.ZipFile(source) as archive:
        tensors = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)
    tensors["action_net.weight"][0, 0] = value
    written = io.BytesIO()
    torch.save(tensors, written)
    return rewrite(source, dest, {"policy.pth": written.getvalue()})


def with_pickle(source: Path, dest: Path, key: str, pickle: bytes) -> Path:
    """Copy an SB3 zip with a pickle put into its `data`."""
    with zipfile.ZipFile(source) as archive:
        data: dict[str, Any] = json.loads(archive.read("data"))
    data[key] = {":type:": "<class 'x'>", ":serialized:": base64.b64encode(pickle).decode()}
    return rewrite(source, dest, {"data": json.dumps(data).encode()})
