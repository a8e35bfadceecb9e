"""Payloads planted wherever loading a file of SB3's world would run them: each is found, by its place."""

import base64
import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sb3port.scanning.findings import ScannedFile, Verdict
from sb3port.scanning.scan import scan, targets

from ..security.hostile import Victim, pack

FIXTURE = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"
# Protocol 0 has names alone; 4 takes them from the stack.
PAYLOADS = {
    "protocol 0": b"cposix\nsystem\n(X\x04\x00\x00\x00truetR.",
    "protocol 4": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
    "damaged after it": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R0a.",
    "before what it cannot follow": b"\x80\x04}K\x01a\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
}
FIELDS = sorted(json.loads(zipfile.ZipFile(FIXTURE / f"{FIXTURE.name}.zip").read("data")))


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    """A copy of a checkpoint."""
    return Victim(FIXTURE, tmp_path)


def scanned(path: Path) -> ScannedFile:
    """Scan one file."""
    (found,) = scan(targets(str(path)))
    return found


def places(path: Path) -> list[str]:
    """Give where `posix.system` was found, and make sure that the verdict says so."""
    found = scanned(path)
    assert found.verdict is Verdict.DANGEROUS
    return [finding.place for finding in found.findings if finding.name == "posix.system"]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("field", FIELDS)
def test_in_every_field(field: str, payload: bytes, victim: Victim) -> None:
    victim.put(field, payload)
    assert places(victim.zip) == [f"data[{field!r}]"]


@pytest.mark.parametrize("member", ["policy.pth", "policy.optimizer.pth", "pytorch_variables.pth"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_in_every_member(member: str, payload: bytes, victim: Victim) -> None:
    buffer = io.BytesIO()
    torch.save({}, buffer)
    victim.members.setdefault(member, buffer.getvalue())
    victim.put(member, payload)
    (place,) = places(victim.zip)
    assert place.startswith(f"{member}!")
    assert place.endswith("/data.pkl")


def test_a_zip_without_a_policy(tmp_path: Path) -> None:
    """SB3 decodes `data` before it looks for anything else."""
    data = {"x": {":type:": "x", ":serialized:": base64.b64encode(PAYLOADS["protocol 4"]).decode()}}
    (tmp_path / "model.zip").write_bytes(pack({"data": json.dumps(data).encode()}))
    assert places(tmp_path / "model.zip") == ["data['x']"]


def test_base64_as_sb3_decodes_it(tmp_path: Path) -> None:
    """What is not base64 is passed over; and a pickle deeper in is one all the same."""
    text = base64.b64encode(PAYLOADS["protocol 4"]).decode()
    data = {"a": {"b": [{":serialized:": f"%{text[:7]}\n!{text[7:]}"}]}}
    (tmp_path / "model.zip").write_bytes(pack({"data": json.dumps(data).encode()}))
    assert places(tmp_path / "model.zip") == ["data['a.b[0]']"]


def _array(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": ()})
    return buffer.getvalue() + payload


def _tar(payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, raw in (("tensors", b"I1\n."), ("storages", payload)):
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


def _row(payload: bytes) -> bytes:
    """torch's row before 1.6, in an encoding that torch does not write and reads."""
    return b"L" + str(0x1950A86A20F9469CFC6C).encode() + b"L\n.I1001\n.}." + payload + b"]."


def _gadget(payload: bytes) -> bytes:
    """A harmless function of Python's that calls what it is handed."""
    if payload.startswith(b"\x80"):
        return (
            b"\x80\x04clogging\nshutdown\n](cfunctools\npartial\n(cposix\nsystem\nX\x04\x00\x00\x00truetRetR."
        )
    return b"clogging\nshutdown\n((lcfunctools\npartial\n(cposix\nsystem\nX\x04\x00\x00\x00truetRatR."


def _nested(payload: bytes) -> bytes:
    """A tensor's pickle as protocol 2 writes bytes, which are no literal there."""
    inner = pack({"x/data.pkl": payload}).decode("latin1").encode()
    text = b"X" + len(inner).to_bytes(4, "little") + inner
    call = b"\x80\x02ctorch.storage\n_load_from_bytes\n(c_codecs\nencode\n("
    return call + text + b"X\x06\x00\x00\x00latin1tRtR."


FILES: dict[str, Callable[[bytes], bytes]] = {
    "vec_normalize.pkl": bytes,
    "replay_buffer.pkl": lambda payload: pickle.dumps(np.zeros(10**6))[:-1] + b"0" + payload,
    "policy.pth": bytes,
    "weights.pt": lambda payload: pack({"weights/data.pkl": payload, "weights/version": b"3"}),
    "model.zip": lambda payload: pack({"inner.zip": pack({"deeper.zip": pack({"x/data.pkl": payload})})}),
    "logs.npz": lambda payload: pack({"results.npy": _array(payload)}),
    "results.npy": _array,
    "no_suffix": lambda payload: payload if payload.startswith(b"\x80") else b"\x80\x02" + payload,
    "model.sb3": bytes,
    "prefixed": lambda payload: b"#!/bin/sh\n" + pack({"x/data.pkl": payload}),
    "checkpoint.pth.tar": _tar,
    "row.pth": _row,
    "gadget.pkl": _gadget,
    "quotes.npy": lambda payload: _array(payload).replace(b"'|O'", b'"|O"'),
    "raw.npy": bytes,
    "encoded.pkl": _nested,
    "two.pkl": lambda payload: pickle.dumps({}) + b"\x80\x02" + payload,
}


@pytest.mark.parametrize("payload", ["protocol 0", "protocol 4"])
@pytest.mark.parametrize("name", FILES)
def test_in_every_kind_of_file(name: str, payload: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name](PAYLOADS[payload]))
    found = scanned(tmp_path / name)
    assert found.verdict is Verdict.DANGEROUS
    assert found.deceptive or "posix.system" in {finding.name for finding in found.findings}
    assert [file.verdict for file in scan(targets(str(tmp_path)))] == [Verdict.DANGEROUS]


YAML = {
    "apply": "a: !!python/object/apply:posix.system [true]",
    "new": "a: !!python/object/new:posix.system [true]",
    "name": "a: !!python/name:posix.system ''",
    "verbatim": "a: !<tag:yaml.org,2002:python/object/apply:posix.system> [true]",
    "handle": "%TAG !p! tag:yaml.org,2002:python/\n--- \na: !p!object/apply:posix.system [true]",
    "gadget": "!!python/object/apply:logging.shutdown [[!!python/object/apply:functools.partial "
    "[!!python/name:posix.system '', true]]]",
    "escaped": "a: !!python/object/apply:posix%2Esystem [true]",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
@pytest.mark.parametrize("name", ["config.yml", "args.yml", "hyperparameters.yaml"])
def test_in_yaml(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert places(tmp_path / name) == [""]


def test_modules_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("a: !!python/module:os ''")
    assert scanned(tmp_path / "config.yml").verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        ({"class": "posix.system", "config": {}}, Verdict.DANGEROUS),
        ({"class": "my_robot.steps.Smooth", "config": {}}, Verdict.OWN_CODE),
        ({"class": "lerobot.processor.device_processor.DeviceProcessorStep"}, Verdict.CLEAN),
        ({"registry_name": "device_processor", "config": {"device": "cpu"}}, Verdict.CLEAN),
        ({"registry_name": "action_tokenizer_processor", "config": {}}, Verdict.DANGEROUS),
        (
            {"registry_name": "action_tokenizer_processor", "config": {"trust_remote_code": False}},
            Verdict.CLEAN,
        ),
        ({"registry_name": "x", "config": {"trust_remote_code": True}}, Verdict.DANGEROUS),
    ],
)
def test_in_lerobots_processors(step: dict[str, object], verdict: Verdict, tmp_path: Path) -> None:
    path = tmp_path / "policy_preprocessor.json"
    path.write_text(json.dumps({"name": "policy_preprocessor", "steps": [step]}))
    assert scanned(path).verdict is verdict


def test_in_a_nested_tensor_that_is_passed_over(tmp_path: Path) -> None:
    """A large tensor that a pickle has torch load is looked into where it lies."""
    inner = pack({"x/data.pkl": PAYLOADS["protocol 4"], "x/data/0": bytes(10**6)})
    call = b"\x80\x04\x8c\x0dtorch.storage\x8c\x10_load_from_bytes\x93B"
    (tmp_path / "a.pkl").write_bytes(call + len(inner).to_bytes(4, "little") + inner + b"\x85R.")
    assert places(tmp_path / "a.pkl") == [""]
