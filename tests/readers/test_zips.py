"""Members are read as `zipfile` reads them, whatever has happened to the archive."""

import io
import random
import struct
import zipfile
from collections.abc import Callable

import pytest

from sb3port.errors import NotPortable, Sb3portError
from sb3port.readers.formats.zips import open_zip, read_member

CONTENT = {"data": b"{}" * 40, "a/version": b"3\n", "empty": b"", "storage": bytes(range(256)) * 4}
NAME = b"a/version"


def archived(packed: int = zipfile.ZIP_STORED, **more: bytes) -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packed) as archive:
        for name, content in {**CONTENT, **more}.items():
            archive.writestr(name, content)
    return bytearray(stream.getvalue())


def read_by_us(data: bytes) -> dict[str, bytes]:
    with open_zip(io.BytesIO(data), "it") as archive:
        return {name: read_member(archive, name, "it") for name in archive.namelist()}


def read_by_zipfile(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_whole_archives(packed: int) -> None:
    data = archived(packed, **{"größe": b"a name beyond ASCII"})
    assert read_by_us(data) == read_by_zipfile(data)


def test_sizes_that_are_told_after_the_content() -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    assert read_by_us(stream.getvalue()) == CONTENT


def other_name(data: bytearray) -> None:
    place = data.index(NAME)
    data[place : place + len(NAME)] = b"b/version"


def other_content(data: bytearray) -> None:
    data[data.index(b"3\n")] ^= 1


def encrypted(data: bytearray) -> None:
    """Set the flag where all members are listed, for the first of them."""
    data[data.index(b"PK\1\2") + 8] |= 1


def other_signature(data: bytearray) -> None:
    data[data.index(NAME) - 30] ^= 1


def elsewhere(data: bytearray) -> None:
    """Let the list say that the second member begins far beyond the end."""
    place = data.rindex(NAME) - 4
    data[place : place + 4] = struct.pack("<I", 10**9)


@pytest.mark.parametrize("damage", [other_name, other_content, encrypted, other_signature, elsewhere])
def test_damages_are_refused(damage: Callable[[bytearray], None]) -> None:
    data = archived()
    damage(data)
    with pytest.raises(NotPortable, match="it is damaged: "):
        read_by_us(data)


def test_any_damage_is_met_as_zipfile_meets_it() -> None:
    """A thousand archives, of which some bytes were changed: the same content, or none from either."""
    rng, refused = random.Random(0), 0
    whole = archived()
    for _ in range(1000):
        data = whole.copy()
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            found = read_by_us(data)
        except Sb3portError:
            refused += 1
            continue
        assert found == read_by_zipfile(data)
    assert 100 < refused < 1000
