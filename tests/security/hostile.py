"""What the security tests share: handmade pickles and torch files, put into copies of a checkpoint."""

import base64
import io
import json
import resource
import shutil
import struct
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sb3port.errors import Sb3portError
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

MAX_SECONDS = 5.0
MAX_MEMORY_KB = 500 * 1024


def unpack(path: Path) -> dict[str, bytes]:
    """Give the members of a zip by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Make a zip of members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


class Victim:
    """A copy of a fixture, one part of which is replaced by something hostile."""

    def __init__(self, fixture: Path, folder: Path) -> None:
        self.folder = folder / fixture.name
        shutil.copytree(fixture, self.folder)
        self.zip = self.folder / f"{fixture.name}.zip"
        self.members = unpack(self.zip)

    def put(self, place: str, pickled: bytes) -> None:
        """Put a pickle into `vec_normalize.pkl`, a member ending in `.pth`, or a setting of `data`."""
        if place.endswith(".pkl"):
            (self.folder / place).write_bytes(pickled)
        elif place.endswith(".pth"):
            inner = unpack_bytes(self.members[place])
            name = next(name for name in inner if name.endswith("/data.pkl"))
            self.members[place] = pack(inner | {name: pickled})
        else:
            self.set(**{place: {":type:": "x", ":serialized:": base64.b64encode(pickled).decode()}})
        self.write()

    def set(self, **settings: Any) -> None:
        """Replace settings in `data`."""
        self.members["data"] = json.dumps(json.loads(self.members["data"]) | settings).encode()
        self.write()

    def write(self) -> None:
        """Write the zip anew from its members."""
        self.zip.write_bytes(pack(self.members))

    def read(self) -> Any:
        """Read it as the command line does."""
        return read_checkpoint(resolve(str(self.folder), SourceOptions()))


def unpack_bytes(raw: bytes) -> dict[str, bytes]:
    """Give the members of a zip in memory."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@contextmanager
def bounded() -> Iterator[None]:
    """Fail when the block takes more of the processor, or of memory, than refusing a file may take."""
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - begin < MAX_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_MEMORY_KB


def assert_refused(victim: Victim, exit_code: int = 4) -> Sb3portError:
    """Make sure that it is refused with one of our errors, soon and cheaply."""
    with bounded(), pytest.raises(Sb3portError) as caught:
        victim.read()
    assert caught.value.exit_code == exit_code, caught.value.message
    assert len(caught.value.message) < 5000
    return caught.value


def doubling(levels: int, leaf: bytes = b"K\x01\x85") -> bytes:
    """Opcodes of a tuple that holds a tuple twice, which holds a tuple twice, and so on."""
    return leaf + b"2\x86" * levels


def text(value: str) -> bytes:
    """Opcodes that push a string."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    """Opcodes that push an integer."""
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(raw)) + raw
