"""Files that are built to hang, to exhaust memory or to confuse: each is refused, soon and cheaply."""

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.errors import NotPortable, Sb3portError
from sb3port.readers.pickles import read_pickle

from .hostile import Victim, assert_refused, bounded, doubling, integer, pack, text, unpack_bytes

ZIP64 = 0xFFFFFFFF


@pytest.mark.parametrize("member", ["data", "policy.pth"])
def test_zip_bomb(member: str, victim: Victim) -> None:
    victim.members[member] = b"\0" * (200 * 1024**2)
    victim.zip.write_bytes(pack(victim.members, zipfile.ZIP_DEFLATED))
    victim.members.clear()
    assert "would unpack to" in assert_refused(victim).message


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
    with bounded():
        for end in range(0, len(small), 64):
            victim.zip.write_bytes(small[:end])
            with pytest.raises(NotPortable):
                victim.read()


def test_truncated_statistics(victim: Victim) -> None:
    path = victim.folder / "vec_normalize.pkl"
    raw = path.read_bytes()
    with bounded():
        for end in range(0, len(raw), 64):
            path.write_bytes(raw[:end])
            with pytest.raises(NotPortable):
                victim.read()


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
_SLOW = {"many empty sets", "many marks on a high stack", "doubling"}
# A flag is only true or false, and a call that builds a schedule is a function of the user's own.
_CALLS = {"deep calls", "doubling as an argument", "doubling as a call"}
_HARMLESS = {("use_sde", name) for name in PICKLES} | {("learning_rate", name) for name in _CALLS}


@pytest.mark.parametrize("name", PICKLES)
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


def _tensor(
    size: tuple[Any, ...], stride: tuple[Any, ...], offset: Any = 0, key: Any = "0", count: Any = 1
) -> bytes:
    """Opcodes of a state dictionary that holds one tensor."""

    def push(value: Any) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + push(key) + text("cpu") + push(count) + b"tQ"
    )
    call = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + push(offset)
        + push(size)
        + push(stride)
        + b"\x89Nt"
        + b"R"
    )
    return b"\x80\x02}" + text("log_std") + call + b"s."


TENSORS = {
    "giant shape": _tensor((2**40,), (1,)),
    "giant shape of stride 0": _tensor((2**33,), (0,)),
    "product beyond 64 bits": _tensor((2**40, 2**40), (0, 0)),
    "giant empty shape": _tensor((0, 2**62, 2**62), (1, 1, 1)),
    "giant number": _tensor((10**200,), (1,)),
    "out of range": _tensor((2,), (10**6,)),
    "giant stride": _tensor((1,), (2**70,)),
    "negative stride": _tensor((2,), (-1,)),
    "negative size": _tensor((-1,), (1,)),
    "negative offset": _tensor((1,), (1,), -1),
    "offset beyond the storage": _tensor((1,), (1,), 10**9),
    "overlapping": _tensor((64, 64), (0, 1)),
    "too many dimensions": _tensor((1,) * 100, (1,) * 100),
    "size and stride differ": _tensor((1, 1), (1,)),
    "size of words": _tensor(("a",), (1,)),
    "size of fractions": _tensor((1.5,), (1,)),
    "no size": _tensor(None, None),  # type: ignore[arg-type]
    "no offset": _tensor((1,), (1,), None),
    "storage of another length": _tensor((1,), (1,), count=2**40),
    "storage without a length": _tensor((1,), (1,), count=None),
    "storage that is absent": _tensor((1,), (1,), key="nope"),
    "storage outside": _tensor((1,), (1,), key="../../data"),
    "storage by a list": _tensor((1,), (1,), key=["0"]),
    "no arguments": b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "no storage": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00K\x01\x85K\x01\x85\x89NtR.",
    "storage by a number": b"ctorch._utils\n_rebuild_tensor_v2\n(K\x05QK\x00K\x01\x85K\x01\x85\x89NtR.",
    "storage by a text": b"ctorch._utils\n_rebuild_tensor_v2\n(Pstorage\nK\x00K\x01\x85K\x01\x85\x89NtR.",
    "unhashable key": b"ccollections\nOrderedDict\n)R](]K\x01u.",
    "not a dictionary": b"]K\x01a.",
    "a number": b"K\x01.",
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(name: str, victim: Victim) -> None:
    inner = unpack_bytes(victim.members["policy.pth"])
    key = next(member for member in inner if member.endswith("/data/0"))
    count = len(inner[key]) // 4
    honest = _tensor((1,), (1,))
    assert honest != TENSORS[name]
    hostile = TENSORS[name].replace(
        text("cpu") + b"K\x01t", text("cpu") + pickle.dumps(count, 2)[2:-1] + b"t"
    )
    if "OrderedDict" in repr(hostile) or "_rebuild_tensor" in repr(hostile):  # what is broken wherever it is
        members = dict(victim.members)
        victim.put("policy.optimizer.pth", hostile)
        assert_refused(victim)
        victim.members = members
    victim.put("policy.pth", hostile)
    assert_refused(victim)


def test_one_storage_shown_again_and_again(victim: Victim) -> None:
    inner = unpack_bytes(victim.members["policy.pth"])
    count = len(inner[next(member for member in inner if member.endswith("/data/0"))]) // 4
    one = _tensor((count,), (1,), count=count).partition(text("log_std"))[2].removesuffix(b"s.")
    victim.put("policy.pth", b"\x80\x02}" + b"".join(text(f"x{i}") + one + b"s" for i in range(2000)) + b".")
    assert "over and over" in assert_refused(victim).message


def _arrays(victim: Victim, change: Any) -> None:
    """Change the arrays of policy.pth, as torch would save them."""
    import io

    import torch

    state = torch.load(io.BytesIO(victim.members["policy.pth"]), weights_only=True)
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    victim.members["policy.pth"] = buffer.getvalue()
    victim.write()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["value_net.bias"].fill_(float("nan")), "NaN"),
        (lambda state: state["value_net.bias"].fill_(float("inf")), "NaN or infinite"),
        (
            lambda state: state.update({"value_net.weight": state["value_net.weight"].T}),
            "value_net.weight is",
        ),
        (lambda state: state.pop("action_net.bias"), "action_net.bias is missing"),
        (lambda state: state.update(extra=state["log_std"]), "extra"),
        (lambda state: state.update({"log_std": state["log_std"].double()}), "float64"),
        (
            lambda state: state.update(
                {"mlp_extractor.policy_net." + "9" * 5000 + ".weight": state["log_std"]}
            ),
            "no MlpPolicy has",
        ),
        (lambda state: state.clear(), "not a dictionary of named tensors"),
    ],
)
def test_weights(change: Any, words: str, victim: Victim) -> None:
    _arrays(victim, change)
    assert words in assert_refused(victim).message


def _statistics(victim: Victim, change: Any) -> None:
    path = victim.folder / "vec_normalize.pkl"
    loaded = pickle.loads(path.read_bytes())
    change(loaded)
    loaded.__dict__.update(venv=None, class_attributes={}, returns=None)  # which saving leaves out
    path.write_bytes(pickle.dumps(loaded))


@pytest.mark.parametrize(
    "change",
    [
        lambda vec: vec.obs_rms.mean.fill(np.nan),
        lambda vec: vec.obs_rms.var.fill(-1.0),
        lambda vec: setattr(vec.obs_rms, "var", np.ones(4)),
        lambda vec: setattr(vec.obs_rms, "mean", "no"),
        lambda vec: setattr(vec.obs_rms, "count", float("nan")),
        lambda vec: setattr(vec, "epsilon", float("nan")),
        lambda vec: setattr(vec, "clip_obs", -1.0),
        lambda vec: setattr(vec, "clip_obs", 10**500),
        lambda vec: setattr(vec, "clip_obs", None),
        lambda vec: setattr(vec, "obs_rms", None),
        lambda vec: setattr(vec, "obs_rms", {"a": vec.obs_rms}),
        lambda vec: setattr(vec, "gamma", 1j),
        lambda vec: setattr(vec, "gamma", np.complex128(1j)),
    ],
)
def test_statistics(change: Any, victim: Victim) -> None:
    _statistics(victim, change)
    assert_refused(victim)


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


def _optimizer(victim: Victim, **changes: Any) -> None:
    import io

    import torch

    saved = torch.load(io.BytesIO(victim.members["policy.optimizer.pth"]), weights_only=True)
    buffer = io.BytesIO()
    torch.save(saved | changes, buffer)
    victim.members["policy.optimizer.pth"] = buffer.getvalue()
    victim.write()


@pytest.mark.parametrize(
    "changes",
    [
        {"param_groups": []},
        {"param_groups": [1]},
        {"param_groups": 1},
        {"param_groups": [{"params": [1]}]},
        {"param_groups": [{"params": [[]] * 12}]},
        {"state": []},
        {"state": {99: {}}},
        {"state": {0: 1}},
        {"state": {0: {"exp_avg": "x"}}},
        {"state": {0: {"exp_avg": float("nan")}}},
    ],
    ids=str,
)
def test_optimizers_that_do_not_fit_are_left_out(changes: dict[str, Any], victim: Victim) -> None:
    _optimizer(victim, **changes)
    with bounded():
        checkpoint = victim.read()
    assert checkpoint.optimizer is None
    assert any("optimiser" in warning for warning in checkpoint.warnings)


def test_reading_is_linear() -> None:
    with bounded():
        read_pickle(b"N" * 400_000 + b"(t0" * 150_000 + b".", "test")


def test_file_names_from_the_data_are_not_used(victim: Victim, tmp_path: Path) -> None:
    victim.set(tensorboard_log=str(tmp_path / "evil"), _custom_logger="/evil")
    victim.read()
    assert {path.name for path in tmp_path.iterdir()} == {victim.folder.name}
    assert json.loads(victim.members["data"])["_custom_logger"] == "/evil"
