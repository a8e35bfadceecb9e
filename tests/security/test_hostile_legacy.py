"""Hostile files in the format that torch wrote before 1.6: truncated, lying about sizes, or carrying code."""

import io
import pickle
import pickletools
import struct
from typing import Any

import pytest
import torch

from .hostile import Victim, assert_refused, doubling, text

PLACES = ("policy.pth", "policy.optimizer.pth", "pytorch_variables.pth")
MAGIC, PROTOCOL, SYSTEM, CONTENT, KEYS = range(5)


def legacy(raw: bytes) -> tuple[list[bytes], bytes]:
    """Save a torch file in the old format, and split it into its five pickles and the storages."""
    buffer = io.BytesIO()
    state = torch.load(io.BytesIO(raw), weights_only=True)
    torch.save(state, buffer, _use_new_zipfile_serialization=False)
    buffer.seek(0)
    pickles = []
    for _ in range(5):
        begin = buffer.tell()
        for _ in pickletools.genops(buffer):
            pass
        pickles.append(buffer.getvalue()[begin : buffer.tell()])
    return pickles, buffer.read()


def put(victim: Victim, pickles: list[bytes], storages: bytes, place: str = "policy.pth") -> None:
    victim.members[place] = b"".join(pickles) + storages
    victim.write()


def test_the_honest_file_is_read(victim: Victim) -> None:
    expected = victim.read().tensors
    for place in PLACES:
        put(victim, *legacy(victim.members[place]), place)
    found = victim.read().tensors
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


def test_truncated_anywhere(victim: Victim) -> None:
    pickles, storages = legacy(victim.members["policy.pth"])
    whole = b"".join(pickles) + storages
    steps = [*range(0, len(whole) - len(storages), 111), *range(len(whole) - len(storages), len(whole), 997)]
    for end in (*steps, len(whole) - 1):
        victim.members["policy.pth"] = whole[:end]
        victim.write()
        assert_refused(victim)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("position", [PROTOCOL, SYSTEM, CONTENT, KEYS])
def test_code_in_any_of_its_pickles(position: int, place: str, victim: Victim) -> None:
    pickles, storages = legacy(victim.members[place])
    pickles[position] = b"cposix\nsystem\n(" + text("true") + b"tR."
    put(victim, pickles, storages, place)
    assert "posix.system" in assert_refused(victim, 5).message


PICKLES = {
    "deep lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "doubling": doubling(60) + b".",
    "many opcodes": b"N0" * 600_000 + b"N.",
    "nothing": b"N.",
    "a number": b"K\x05.",
    "no pickle": b"\xff" * 50,
    "an unfinished one": b"](",
}


@pytest.mark.parametrize("position", [PROTOCOL, SYSTEM, CONTENT, KEYS])
@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_hang_or_mean_nothing(name: str, position: int, victim: Victim) -> None:
    pickles, storages = legacy(victim.members["policy.pth"])
    pickles[position] = PICKLES[name]
    put(victim, pickles, storages)
    assert_refused(victim)


@pytest.mark.parametrize("count", [-1, -(2**63), 0, 1, 2**31, 2**40, 2**62, 2**63 - 1])
def test_lying_sizes(count: int, victim: Victim) -> None:
    pickles, storages = legacy(victim.members["policy.pth"])
    (true,) = struct.unpack("<q", storages[:8])  # of any tensor: torch sorts storages by their addresses
    put(victim, pickles, struct.pack("<q", count if count != true else true + 1) + storages[8:])
    assert_refused(victim)


def push(value: Any) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def tensor(kind: str = "FloatStorage", key: Any = "0", view: Any = None, parts: int = 6) -> bytes:
    """Opcodes of one tensor of one element."""
    reference = [text("storage"), f"ctorch\n{kind}\n".encode(), push(key), text("cpu"), push(1), push(view)]
    storage = b"(" + b"".join(reference[:parts]) + b"tQ"
    size = push((1,))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + push(0) + size + size + b"\x89NtR"


def state(*tensors: bytes) -> bytes:
    return b"\x80\x02}" + b"".join(text(f"x{i}") + one + b"s" for i, one in enumerate(tensors)) + b"."


ONE = struct.pack("<qf", 1, 1.0)
STRUCTURES: dict[str, tuple[dict[int, bytes], bytes]] = {
    "another protocol": ({PROTOCOL: pickle.dumps(1002, 2)}, ONE),
    "a big-endian machine": ({SYSTEM: pickle.dumps({"little_endian": False}, 2)}, ONE),
    "no storage listed": ({KEYS: pickle.dumps([], 2)}, ONE),
    "another storage listed": ({KEYS: pickle.dumps(["1"], 2)}, ONE),
    "a storage listed twice": ({KEYS: pickle.dumps(["0", "0"], 2)}, ONE * 2),
    "storages that are no names": ({KEYS: pickle.dumps([["0"]], 2)}, ONE),
    "keys in a dictionary": ({KEYS: pickle.dumps({"0": 1}, 2)}, ONE),
    "a view": ({CONTENT: state(tensor(view=("1", 0, 1)))}, ONE),
    "no view at all": ({CONTENT: state(tensor(parts=5))}, ONE),
    "a key that is a list": ({CONTENT: state(tensor(key=["0"]))}, ONE),
    "two types": ({CONTENT: state(tensor(), tensor("DoubleStorage"))}, ONE),
    "a type that is not read": ({CONTENT: state(tensor("BFloat16Storage"))}, ONE),
    "a type of no such name": ({CONTENT: state(tensor("x" * 5000))}, ONE),
    "references by name": ({CONTENT: b"(dP" + b"storage\n."}, ONE),
    "the same numbers again and again": ({CONTENT: state(*[tensor()] * 3000)}, ONE),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, victim: Victim) -> None:
    changes, storages = STRUCTURES[name]
    pickles, _ = legacy(victim.members["policy.pth"])
    pickles[CONTENT], pickles[KEYS] = state(tensor()), pickle.dumps(["0"], 2)
    for position, pickled in changes.items():
        pickles[position] = pickled
    put(victim, pickles, storages)
    assert_refused(victim)


def test_storages_of_a_file_within_the_zip_are_not_reached(victim: Victim) -> None:
    pickles, storages = legacy(victim.members["policy.pth"])
    pickles[CONTENT] = pickles[CONTENT].replace(b"FloatStorage", b"../../../../")
    put(victim, pickles, storages)
    assert_refused(victim)
