"""Pickles and settings that are built to hang or to swell: each is refused, soon and cheaply."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from sb3port.errors import Sb3portError
from sb3port.readers.formats.pickles import read_pickle

from .hostile import Victim, assert_refused, bounded, doubling, integer, text

NESTED = 100_000
PICKLES = {
    "deep lists": b"]" * NESTED + b"a" * (NESTED - 1) + b".",
    "deep tuples": b")" + b"\x85" * NESTED + b".",
    "deep dictionaries": b"}" + b"}K\x01" * 0 + b"K\x01}" * NESTED + b"s" * NESTED + b".",
    "deep calls": b"cx\nY\n" + b")R" * NESTED + b".",
    "doubling": doubling(60) + b".",
    "doubling as a key": b"}" + doubling(60) + b"K\x01s.",
    "doubling in a set": b"\x8f(" + doubling(60) + b"\x90.",
    "doubling in a frozenset": b"(" + doubling(60) + b"\x91.",
    "doubling as a global's name": doubling(60) + text("x") + b"\x93.",
    "doubling as an argument": b"cx\nY\n" + doubling(60) + b"R.",
    "lists that a call shares": b"cheapq\nmerge\n(]("
    + b"N" * 1000
    + b"e\x940]("
    + b"h\x00" * 1000
    + b"e\x940]("
    + b"h\x01" * 1000
    + b"etR.",
    "setters in setters": b"ccloudpickle.cloudpickle\n_fill_function\n\x940"
    + b"h\x00" * NESTED
    + b"cx\nY\n"
    + b"\x85R" * NESTED
    + b".",
    "doubling as a call": b"cx\nY\n" + doubling(60) + b"RK\x01\x85R.",
    "a list that holds itself": b"]\x94h\x00a.",
    "a dictionary that holds itself": b"}\x94K\x01h\x00s.",
    "huge LONG4": b"\x8b" + struct.pack("<i", 4_000_000) + b"\x7f" * 4_000_000 + b".",
    "huge LONG4 as a key": b"\x8b"
    + struct.pack("<i", 4_000_000)
    + b"\x7f" * 4_000_000
    + b"\x940}"
    + b"h\x00Ns" * 1000
    + b".",
    "huge LONG": b"L" + b"9" * 1_000_000 + b"L\n.",
    "huge INT": b"I" + b"9" * 1_000_000 + b"\n.",
    "colliding numbers": b"}" + b"".join(integer(n * (2**61 - 1)) + b"Ns" for n in range(1, 50_000)) + b".",
    "many numbers": b"}" + b"".join(integer(n) + b"Ns" for n in range(50_000)) + b".",
    "declared length": b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "declared text": b"\x8d" + struct.pack("<Q", 2**63 + 1) + b"x.",
    "many empty sets": b"\x8f" * 3_000_000 + b".",
    "many marks on a high stack": b"N" * 400_000 + b"(t0" * 200_000 + b".",
    "extension registry": b"\x82\x01.",
    "out of band": b"\x80\x05\x97.",
    "huge protocol": b"\x80\xff.",
}
_FIELDS = ("observation_space", "policy_kwargs", "learning_rate", "n_steps", "policy_class", "use_sde")
_SLOW = {"many empty sets", "many marks on a high stack", "doubling", "setters in setters"}
_SLOW |= {name for name in PICKLES if name.startswith("deep ")}
# A flag is only true or false, and what is no schedule is told as one of the user's own: no policy needs it.
_HARMLESS = {(field, name) for field in ("use_sde", "learning_rate") for name in PICKLES}


_THOROUGH = {"many empty sets", "deep lists", "deep tuples", "deep dictionaries", "deep calls"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.thorough) if name in _THOROUGH else name for name in PICKLES],
)
def test_pickles_that_hang_or_swell(name: str, victim: Victim) -> None:
    original = dict(victim.members)
    fields = ("policy_kwargs",) if name in _SLOW else _FIELDS
    for place in (*fields, "policy.pth", "policy.optimizer.pth", "vec_normalize.pkl"):
        victim.members = dict(original)
        if place.endswith(".pkl"):
            victim.write()
        victim.put(place, PICKLES[name])
        with bounded():
            try:
                victim.read()
            except Sb3portError as error:
                assert len(error.message) < 5000  # noqa: PT017
            else:
                assert (place, name) in _HARMLESS


@pytest.mark.parametrize(
    "key",
    [
        "activation_fn",
        "optimizer_class",
        "features_extractor_class",
        "log_std_init",
        "ortho_init",
        "optimizer_kwargs",
        "unknown",
    ],
)
@pytest.mark.parametrize("value", ["tuple", "call", "list"])
def test_doubling_within_policy_kwargs(key: str, value: str, victim: Victim) -> None:
    inner = {
        "tuple": doubling(60),
        "call": b"cx\nY\n" + doubling(60) + b"R",
        "list": b"]" + doubling(60) + b"a",
    }[value]
    if key == "optimizer_kwargs":
        inner = b"}" + text("eps") + inner + b"s"
    victim.put("policy_kwargs", b"}" + text(key) + inner + b"s.")
    assert_refused(victim)


def test_many_large_pickles(victim: Victim) -> None:
    import base64

    pickled = base64.b64encode(b"\x8f" * 300_000 + b".").decode()
    victim.set(**{f"x{i}": {":serialized:": pickled} for i in range(40)})
    assert "opcodes" in assert_refused(victim).message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"gamma": ' + b"9" * 10_000 + b"}",
    ],
    ids=range(10),
)
def test_data_that_is_no_json_object(data: bytes, victim: Victim) -> None:
    victim.members["data"] = data
    victim.write()
    assert_refused(victim)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        "x",
        -1,
        1.5,
        float("nan"),
        10**400,
        {":serialized:": 5},
        {":serialized:": "%"},
        {":serialized:": "AAAA"},
    ],
)
@pytest.mark.parametrize(
    "key",
    [
        "policy_class",
        "policy_kwargs",
        "observation_space",
        "action_space",
        "learning_rate",
        "n_steps",
        "use_sde",
    ],
)
def test_settings_of_another_kind(key: str, value: Any, victim: Victim) -> None:
    victim.set(**{key: value})
    with bounded():
        try:
            victim.read()
        except Sb3portError as error:
            assert error.exit_code == 4  # noqa: PT017
        else:
            assert key in ("policy_kwargs", "learning_rate", "n_steps", "use_sde")


def test_reading_is_linear() -> None:
    with bounded():
        read_pickle(b"N" * 100_000 + b"(t0" * 60_000 + b".", "test")


def test_file_names_from_the_data_are_not_used(victim: Victim, tmp_path: Path) -> None:
    victim.set(tensorboard_log=str(tmp_path / "evil"), _custom_logger="/evil")
    victim.read()
    assert {path.name for path in tmp_path.iterdir()} == {victim.folder.name}
    assert json.loads(victim.members["data"])["_custom_logger"] == "/evil"
