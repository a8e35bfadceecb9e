"""Changes of whole files, by what they are: SB3's zips, torch's files, safetensors, JSON, YAML, pickles."""

import base64
import io
import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, TypeAlias

from .pickled import changed_pickle
from .values import changed_bytes, changed_json, changed_tree, changed_yaml, nasty

Files: TypeAlias = dict[str, bytes]
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # of torch's files before 1.6
# What a policy can do without: every other pickle of `data` says nothing of it.
NEEDED = ("observation_space", "action_space", "policy_class", "policy_kwargs", "learning_rate", "clip_range")


def changed_file(name: str, raw: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change a file by what its name says that it is.

    Args:
        name: Of the file.
        raw: Its bytes.
        rng: Decides on the change.
        others: Zips of which parts may be taken.
    """
    if name.endswith(".zip"):
        return changed_zip(raw, rng, others)
    if name.endswith((".pkl", ".pickle")):
        return changed_pickle(raw, rng)
    if name.endswith((".yml", ".md")):
        return changed_yaml(raw, rng)
    if name.endswith(".json"):
        return changed_json(raw, rng)
    if name.endswith(".safetensors"):
        return changed_safetensors(raw, rng)
    return changed_bytes(raw, rng)


@lru_cache(maxsize=2048)
def _unpacked(raw: bytes) -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return tuple((name, archive.read(name)) for name in archive.namelist())


def unpack(raw: bytes) -> Files:
    """Give the members of a zip."""
    return dict(_unpacked(raw))


def pack(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Make a zip of members, of whatever names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, raw in members.items():
            archive.writestr(zipfile.ZipInfo(name), raw, compress_type=compression)
    return buffer.getvalue()


def slim(raw: bytes) -> bytes:
    """Leave out of an SB3 zip what no policy needs: it is read in a third of the time."""
    members = unpack(raw)
    data = {
        key: value
        for key, value in json.loads(members["data"]).items()
        if key in NEEDED or not (isinstance(value, dict) and ":serialized:" in value)
    }
    kept = {
        name: members[name] for name in members if name not in ("policy.optimizer.pth", "system_info.txt")
    }
    return pack(kept | {"data": json.dumps(data).encode()})


def changed_zip(raw: bytes, rng: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change something in an SB3 zip: most often a setting, a pickle in it, or a tensor."""
    chance = rng.random()
    if chance < 0.06:
        return changed_bytes(raw, rng)
    members = unpack(raw)
    name = rng.choice(list(members))
    if chance < 0.6 and "data" in members:
        members["data"] = _changed_data(members["data"], rng, others)
    elif chance < 0.9:
        name = rng.choice([member for member in members if member.endswith(".pth")] or [name])
        members[name] = changed_torch(members[name], rng)
    elif chance < 0.95:
        members[name] = changed_bytes(members[name], rng)
    else:
        _change_members(members, name, rng, others)
    deflate = rng.random() < 0.1
    return pack(members, zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED)


def _change_members(members: Files, name: str, rng: Random, others: Sequence[bytes]) -> None:
    chance = rng.random()
    if chance < 0.4:
        del members[name]
    elif chance < 0.7 or not others:
        members[rng.choice(("x.pth", "../x.pth", "policy.pth/", "a/policy.pth", "a\nb.pth"))] = members[name]
    else:
        members[name] = unpack(rng.choice(others)).get(name, b"")


def _changed_data(raw: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    try:
        data = json.loads(raw)
    except ValueError:
        return changed_bytes(raw, rng)
    if not isinstance(data, dict) or not data:
        return changed_bytes(raw, rng)
    for _ in range(rng.choice((1, 1, 1, 2))):
        data = _changed_settings(data, rng, others)
    return changed_bytes(raw, rng) if rng.random() < 0.03 else json.dumps(data).encode()


def _changed_settings(data: dict[str, Any], rng: Random, others: Sequence[bytes]) -> Any:
    pickled = [key for key, value in data.items() if isinstance(value, dict) and ":serialized:" in value]
    plain = [key for key in data if key not in pickled]
    chance = rng.random()
    if chance < 0.6 and pickled:
        key = rng.choice(pickled)
        return data | {key: _with_pickle(data[key], rng)}
    if chance < 0.68 and others:
        other = json.loads(unpack(rng.choice(others))["data"])
        key = rng.choice(list(other))
        return data | {rng.choice((key, key, rng.choice(list(data)))): other[key]}
    if chance < 0.85 and plain:
        return data | {rng.choice(plain): nasty(rng)}
    changed = changed_tree(data, rng)
    return changed or {"x": nasty(rng)}


def _with_pickle(value: dict[str, Any], rng: Random) -> dict[str, Any]:
    try:
        raw = base64.b64decode(value[":serialized:"])
    except (ValueError, TypeError):
        raw = b"N."
    return value | {":serialized:": base64.b64encode(changed_pickle(raw, rng)).decode()}


def changed_torch(raw: bytes, rng: Random) -> bytes:
    """Change what `torch.save` wrote, in either of its formats."""
    if raw.startswith(MAGIC):
        return _changed_legacy(raw, rng)
    try:
        members = unpack(raw)
        pickle = next(name for name in members if name.endswith("data.pkl"))
    except (zipfile.BadZipFile, StopIteration, ValueError, NotImplementedError, OSError):
        return changed_bytes(raw, rng)
    name, chance = rng.choice(list(members)), rng.random()
    if chance < 0.75:
        members[pickle] = changed_pickle(members[pickle], rng)
    elif chance < 0.83:
        members[name] = changed_bytes(members[name], rng)
    elif chance < 0.87:
        members[name + rng.choice(("x", "/", "/..", ""))] = members.pop(name)
    elif chance < 0.91:
        del members[name]
    elif chance < 0.95:
        other = rng.choice(
            ("archive/byteorder", "byteorder", "archive/data.pkl", "x/data.pkl", "archive/data/0")
        )
        members[other] = rng.choice((b"big", b"little", members[pickle]))
    else:
        return changed_bytes(raw, rng)
    return pack(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _changed_legacy(raw: bytes, rng: Random) -> bytes:
    """Change the head, the value, the list of storages or the storages of a row of pickles."""
    parts = _legacy_parts(raw)
    at = rng.choice((2, 2, 2, 3, 4, 0, 1))
    if at >= len(parts) or rng.random() < 0.1:
        return changed_bytes(raw, rng)
    parts[at] = changed_pickle(parts[at], rng) if at < 4 else changed_bytes(parts[at], rng)
    return b"".join(parts)


@lru_cache(maxsize=256)
def _legacy_ends(raw: bytes) -> tuple[int, ...]:
    import pickletools

    file = io.BytesIO(raw)
    ends = []
    for _ in range(5):  # magic, protocol, system, value, keys of the storages; then the storages
        for opcode, *_ in pickletools.genops(file):
            if opcode.name == "STOP":
                ends.append(file.tell())
    return tuple(ends)


def _legacy_parts(raw: bytes) -> list[bytes]:
    """Split into [magic to system, ...]: the value is the third part, storages are the last."""
    try:
        _, second, third, fourth, fifth = _legacy_ends(raw)
    except ValueError:
        return [raw]
    return [raw[:second], raw[second:third], raw[third:fourth], raw[fourth:fifth], raw[fifth:]]


def changed_safetensors(raw: bytes, rng: Random) -> bytes:
    """Change the header of a safetensors file, or bytes of it."""
    try:
        (length,) = struct.unpack("<Q", raw[:8])
        head = json.loads(raw[8 : 8 + length])
    except (struct.error, ValueError, OverflowError):
        return changed_bytes(raw, rng)
    if rng.random() < 0.25:
        return changed_bytes(raw, rng)
    text = json.dumps(changed_tree(head, rng)).encode()
    size = len(text) if rng.random() < 0.93 else rng.choice((0, 2**63, 2**31, len(text) + 5))
    return struct.pack("<Q", size) + text + raw[8 + length :]
