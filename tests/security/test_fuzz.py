"""Random damage with fixed seeds: a damaged file is read or refused, and nothing else happens."""

import base64
import json
import random
import zipfile
from collections import Counter

import pytest

from sb3port.errors import Sb3portError

from .hostile import Victim, bounded, pack, unpack_bytes

ROUNDS = 150
MEMBERS = ("policy.pth", "policy.optimizer.pth", "pytorch_variables.pth")


def _damage(raw: bytes, rng: random.Random) -> bytes:
    """Change, drop, double or move a few bytes."""
    damaged = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, length = rng.randrange(len(damaged) + 1), rng.choice((1, 1, 2, 8))
        piece = damaged[at : at + length]
        random_bytes = rng.randbytes(length)
        damaged[at : at + length] = rng.choice(
            (random_bytes, b"", piece * 2, random_bytes + piece, b"\xff" * length)
        )
    return bytes(damaged)


def _read(victim: Victim, outcomes: Counter[str]) -> None:
    with bounded():
        try:
            victim.read()
            outcomes["read"] += 1
        except Sb3portError as error:
            assert error.exit_code in (2, 4, 5)  # noqa: PT017
            outcomes[type(error).__name__] += 1


def test_pickles_in_data(victim: Victim) -> None:
    rng, outcomes = random.Random(1), Counter[str]()
    original = dict(victim.members)
    data = json.loads(original["data"])
    keys = [key for key, value in data.items() if isinstance(value, dict) and ":serialized:" in value]
    for _ in range(ROUNDS):
        victim.members, key = dict(original), rng.choice(keys)
        victim.put(key, _damage(base64.b64decode(data[key][":serialized:"]), rng))
        _read(victim, outcomes)
    assert outcomes["read"] > 5
    assert outcomes["MalformedPickle"] > 5


@pytest.mark.parametrize("member", MEMBERS)
def test_pickles_of_tensors(member: str, victim: Victim) -> None:
    rng, outcomes = random.Random(2), Counter[str]()
    original = dict(victim.members)
    inner = unpack_bytes(original[member])
    name = next(name for name in inner if name.endswith("/data.pkl"))
    for _ in range(ROUNDS):
        victim.members = original | {member: pack(inner | {name: _damage(inner[name], rng)})}
        victim.write()
        _read(victim, outcomes)
    assert outcomes["MalformedPickle"] > 5


def test_json(victim: Victim) -> None:
    rng, outcomes = random.Random(3), Counter[str]()
    original = victim.members["data"]
    for _ in range(ROUNDS):
        victim.members["data"] = _damage(original, rng)
        victim.write()
        _read(victim, outcomes)
    assert outcomes["read"] > 5
    assert outcomes["NotPortable"] > 5


def test_statistics(victim: Victim) -> None:
    rng, outcomes = random.Random(4), Counter[str]()
    path = victim.folder / "vec_normalize.pkl"
    original = path.read_bytes()
    for _ in range(ROUNDS * 2):
        path.write_bytes(_damage(original, rng))
        _read(victim, outcomes)
    assert outcomes["read"] > 5
    assert outcomes["MalformedPickle"] > 5


def test_zip_structure(victim: Victim) -> None:
    rng, outcomes = random.Random(5), Counter[str]()
    small = {name: victim.members[name] for name in ("data", "policy.pth", "_stable_baselines3_version")}
    original = pack(small, zipfile.ZIP_DEFLATED)
    tail = original.index(b"PK\x01\x02")
    for _ in range(ROUNDS):
        at_end = rng.random() < 0.5
        damaged = original[:tail] + _damage(original[tail:], rng) if at_end else _damage(original, rng)
        victim.zip.write_bytes(damaged)
        _read(victim, outcomes)
    assert outcomes["NotPortable"] > 5
