"""What small files may cost: refused soon and with little memory, whatever they stand for."""

import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sb3port.errors import NotPortable, Sb3portError
from sb3port.files.budget import VARIABLE, Cost, budget, spend
from sb3port.parity.observations.recorded import recorded_observations
from sb3port.ports.reading import read_port
from sb3port.readers.places.source import SourceOptions, resolve

from ..ports import port_of
from .hostile import Victim, assert_refused, bounded, integer, text

FIXTURE = Path(__file__).parents[2] / "fixtures" / "hub" / "sb3port" / "ppo-Pendulum-v1"


@pytest.fixture
def port(victim: Victim, tmp_path: Path) -> Path:
    """A port of the victim."""
    return port_of(victim.folder, tmp_path / "port", verify=False).port


def change(path: Path, **values: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_many_members_that_swell(victim: Victim) -> None:
    """Each is small enough; together they are gigabytes."""
    with zipfile.ZipFile(victim.zip, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(60):
            archive.writestr(f"x{number}.pth", bytes(15 * 2**20))
    victim.members.clear()
    assert "MiB of memory" in assert_refused(victim).message


def test_json_of_very_many_values(victim: Victim) -> None:
    victim.members["data"] = victim.members["data"][:-1] + b', "x": [' + b"[]," * 600_000 + b"[]]}"
    victim.write()
    assert " values, which no honest checkpoint" in assert_refused(victim).message


def test_an_array_that_many_spaces_share(victim: Victim) -> None:
    size = 2**20
    order = text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    dtype = b"cnumpy\ndtype\n" + text("b1") + b"\x89\x88\x87R(K\x03" + order
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01"
        + integer(size)
        + b"\x85"
    )
    array += dtype + b"\x89B" + struct.pack("<I", size) + bytes(size) + b"tb"
    float64 = dtype.replace(text("b1"), text("f8")).replace(text("|"), text("<"))
    body = b"\x80\x04" + array + b"\x940" + float64 + b"\x940" + integer(size) + b"\x85\x940"
    body += b"cgym.spaces.dict\nDict\n)\x81}(" + text("spaces") + b"}("
    for number in range(100):
        bounds = text("low") + b"h\x00" + text("high") + b"h\x00" + text("_shape") + b"h\x02ub"
        body += text(f"k{number}") + b"cgym.spaces.box\nBox\n)\x81}(" + text("dtype") + b"h\x01" + bounds
    victim.put("observation_space", body + b"uub.")
    assert "MiB of memory" in assert_refused(victim).message


def test_one_long_name_that_is_named_again_and_again(victim: Victim) -> None:
    name = text("torch." + "x" * 100_000)
    names = b"".join(b"h\x00" + text(f"n{number}") + b"\x930" for number in range(1000))
    victim.put("_last_obs", b"\x80\x04" + name + b"\x940" + names + b"N.")
    assert "characters of text" in assert_refused(victim).message


def test_one_text_that_many_arguments_are(victim: Victim) -> None:
    pairs = b"".join(text(f"k{number}") + b"h\x00" for number in range(290))
    body = b"\x80\x04" + text("x" * 100_000) + b"\x940}(" + text("optimizer_kwargs") + b"}(" + pairs + b"uu."
    victim.put("policy_kwargs", body)
    assert "characters of text" in assert_refused(victim).message


@pytest.mark.parametrize(
    "values",
    [
        {"observation_space": {"type": "Box", "shape": [5 * 10**8], "dtype": "float32", "low": 0, "high": 1}},
        {"lstm_hidden_size": 10**9, "n_lstm_layers": 10**7},
        {"net_arch": {"pi": [1] * 300_000, "vf": []}},
        {"net_arch": {"pi": [10**9] * 3, "vf": []}},
        {"features_extractor_kwargs": {"a": [[]] * 600_000}},
    ],
    ids=str,
)
def test_a_port_of_any_size(values: dict[str, Any], port: Path) -> None:
    change(port / "config.json", **values)
    with bounded(), pytest.raises(NotPortable):
        read_port(port)


def test_a_list_of_very_many_tensors(port: Path) -> None:
    rows = ",".join(f'"t{n}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for n in range(200_000))
    head = f"{{{rows}}}".encode()
    (port / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
    with bounded(), pytest.raises(NotPortable, match="values"):
        read_port(port)


def test_very_many_checkpoints_in_a_folder(victim: Victim, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1200):
        os.link(victim.zip, many / f"m{number}.zip")
        os.link(victim.folder / "vec_normalize.pkl", many / f"vn{number}.pkl")
    with bounded(), pytest.raises(Sb3portError, match="several checkpoints"):
        resolve(str(many), SourceOptions())
    with bounded():
        resolve(str(many), SourceOptions(filename="m7.zip"))


def test_very_many_folders_around(victim: Victim, tmp_path: Path) -> None:
    """They are listed, and their names are not read again for each checkpoint."""
    for number in range(5000):
        (tmp_path / f"walker_{number}_of_many").mkdir()
    with bounded():
        for _ in range(20):
            resolve(str(victim.folder), SourceOptions())


def test_a_folder_of_very_many_files(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "walk", lambda root: iter([(str(root), [], ["x.zip"] * 60_000)]))
    with bounded(), pytest.raises(NotPortable, match="more than 50,000 files"):
        victim.read()


@pytest.mark.parametrize(
    "content", ["- a\n" * 10_000, f"[{'[],' * 5_000}]", "".join(f"a{n}: 1\n" for n in range(6000))]
)
def test_yaml_takes_its_time(content: str, victim: Victim) -> None:
    (victim.folder / "config.yml").write_text(content)
    with bounded():
        checkpoint = victim.read()
    assert any("config.yml" in warning for warning in checkpoint.warnings)


def test_a_swelling_recording(port: Path, tmp_path: Path) -> None:
    """A `reference.npz` beside a source."""
    shutil.copy(FIXTURE / "reference.npz", tmp_path / "reference.npz")
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1, 1, 100000000), }" + b" " * 20 + b"\n"
    path = tmp_path / "reference.npz"
    archive = zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("initial_states.npy", "w", force_zip64=True) as out:
        out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        for _ in range(96):
            out.write(bytes(2**24))
    with bounded(), pytest.raises(Sb3portError):
        list(recorded_observations(path, read_port(port).spec).batches())


@pytest.mark.long
def test_the_user_may_allow_more(victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(victim.zip, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"x{number}.txt", bytes(15 * 2**20))
            archive.writestr(f"y{number}.pth", bytes(15 * 2**20))
    with pytest.raises(NotPortable) as caught:
        victim.read()
    assert (caught.value.hint or "").endswith("--limits 4")
    monkeypatch.setenv(VARIABLE, "4")
    with pytest.raises(NotPortable, match=r"y0\.pth is not a file that torch saved"):
        victim.read()


def test_a_budget_is_shared_and_grows_with_files() -> None:
    with budget(1) as shared:
        before = shared.limit(Cost.MEMORY)
        spend(Cost.BYTES, 1000, "it")
        assert shared.limit(Cost.MEMORY) == before + 8000
        spend(Cost.MEMORY, before, "it")
        with pytest.raises(NotPortable, match="reading it takes more than 192 MiB of memory"):
            spend(Cost.MEMORY, 8001, "it")


def test_a_space_of_many_bounds_is_honest(port: Path) -> None:
    """Each is a line of its own in two files, which are read more than once."""
    size = 100_000
    space = {"type": "Box", "shape": [size], "dtype": "float32", "low": [0.0] * size, "high": [1.0] * size}
    for name in ("config.json", "sb3port.json"):
        content = json.loads((port / name).read_text())
        content.get("spec", content)["observation_space"] = space
        (port / name).write_text(json.dumps(content, indent=4))
    with pytest.raises(NotPortable, match="do not fit its spaces"):
        read_port(port)


def test_a_zip_of_very_many_members(victim: Victim) -> None:
    with zipfile.ZipFile(victim.zip, "a") as archive:
        for number in range(25_000):
            archive.writestr(f"{number}.txt", b"")
    victim.members.clear()
    assert_refused(victim)
