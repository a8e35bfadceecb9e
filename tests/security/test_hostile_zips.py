"""Zip archives that are built to exhaust memory or to confuse: each is refused, soon and cheaply."""

import struct
import zipfile

import pytest

from .hostile import Victim, assert_refused, pack, text

ZIP64 = 0xFFFFFFFF


@pytest.mark.parametrize("member", ["data", "policy.pth"])
def test_zip_bomb(member: str, victim: Victim) -> None:
    victim.members[member] = b"\0" * (200 * 1024**2)
    victim.zip.write_bytes(pack(victim.members, zipfile.ZIP_DEFLATED))
    victim.members.clear()
    assert "MiB of memory, which no honest checkpoint" in assert_refused(victim).message


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_cannot_be_unpacked_in_steps(compression: int, victim: Victim) -> None:
    victim.zip.write_bytes(pack(victim.members, compression))
    assert_refused(victim)


def test_declared_size(victim: Victim) -> None:
    raw = bytearray(victim.zip.read_bytes())
    directory = raw.rindex(b"PK\x01\x02" + raw[raw.index(b"PK\x01\x02") + 4 :][:0])
    for offset in (20, 24):  # compressed and real size in the last entry of the central directory
        raw[directory + offset : directory + offset + 4] = struct.pack("<I", ZIP64 - 1)
    victim.zip.write_bytes(raw)
    assert_refused(victim)


def test_duplicate_members(victim: Victim) -> None:
    with zipfile.ZipFile(victim.zip, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("data", b"{}")
    assert "two members" in assert_refused(victim, 5).message


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../evil"])
def test_names_outside_of_the_archive(name: str, victim: Victim) -> None:
    victim.members[name] = b"evil"
    victim.write()
    assert "outside" in assert_refused(victim, 5).message


def test_encrypted(victim: Victim) -> None:
    raw = bytearray(victim.zip.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    victim.zip.write_bytes(raw)
    assert_refused(victim)


def test_truncated_anywhere(victim: Victim) -> None:
    raw = victim.zip.read_bytes()
    small = pack({name: victim.members[name] for name in ("data", "policy.pth")})
    assert len(raw) > len(small)
    for end in range(0, len(small), 1024):
        victim.zip.write_bytes(small[:end])
        assert_refused(victim)


def test_code_in_a_zip_without_a_policy(victim: Victim) -> None:
    """SB3 decodes `data` first, so that such a file is as dangerous as a whole one."""
    del victim.members["policy.pth"]
    victim.put("clip_range", b"cposix\nsystem\n(" + text("true") + b"tR.")
    assert "data['clip_range']" in assert_refused(victim, 5).message
    victim.set(
        clip_range={":serialized:": "no base64"}, ep_info_buffer={":serialized:": "Y3Bvc2l4CnN5c3RlbQou"}
    )
    assert "data['ep_info_buffer']" in assert_refused(victim, 5).message
    victim.set(clip_range=0.2, ep_info_buffer=None)
    assert "policy.pth" in assert_refused(victim, 4).message


def test_truncated_statistics(victim: Victim) -> None:
    path = victim.folder / "vec_normalize.pkl"
    raw = path.read_bytes()
    for end in range(0, len(raw), 64):
        path.write_bytes(raw[:end])
        assert_refused(victim)
