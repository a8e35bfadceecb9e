"""Demonstrations of strangers: nothing in them runs, fills the memory, or is learnt though it cannot be."""

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3port.checkpoint.checkpoint import Array, NetArch, PolicySpec
from sb3port.checkpoint.spaces import Box, Discrete, MultiDiscrete, Space
from sb3port.errors import NotPortable, Sb3portError, Unsafe
from sb3port.files.budget import _LIMITS as LIMITS
from sb3port.files.budget import Cost
from sb3port.parity.observations.demonstrations import read_demonstrations

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
Image = pytest.importorskip("PIL.Image")

SHAPE = (84, 84, 4)
PICTURE = (20, 24, 3)


def image(shape: tuple[int, ...]) -> Box:
    return Box(shape, "uint8", np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8))


def spec_of(seen: Space, act: Space | None = None, **fields: Any) -> PolicySpec:
    return PolicySpec("ppo", seen, act or Discrete(3), NetArch((), ()), **fields)


VECTOR = spec_of(Box((4,), "float32", np.full(4, -np.inf), np.full(4, np.inf)))
CHOICE = spec_of(Discrete(16))
CHOICES = spec_of(MultiDiscrete(np.array([3, 2]), np.zeros(2, np.int64)))
FRAMES, PICTURES = spec_of(image(SHAPE)), spec_of(image(PICTURE))
TWO = MultiDiscrete(np.array([2, 3]), np.zeros(2, np.int64))
MASKED = spec_of(VECTOR.observation_space, TWO, maskable=True)
FOUR, NONE = np.zeros((4, 4), np.float32), np.zeros(4, np.int64)


def file_of(path: Path, seen: Array, acted: Array = NONE, **more: Array) -> Path:
    np.savez_compressed(path / "shown.npz", observation=seen, action=acted, **more)
    return path / "shown.npz"


def pong(count: int) -> Array:
    """Give stacked frames of which most is the same in all of them."""
    frames = np.full((count + 3, *SHAPE[:2]), 87, np.uint8)
    frames[:, :10] = 147
    for number, frame in enumerate(frames):
        y, x = int(40 + 28 * np.sin(number / 17)), int(42 + 36 * np.sin(number / 9))
        frame[y : y + 2, x] = 236
        frame[y : y + 8, 74:76] = 92
    return np.stack([np.moveaxis(frames[n : n + 4], 0, -1) for n in range(count)])


def test_large_pictures_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take hundreds of times as much as their file, and more than other files may."""
    monkeypatch.setattr("sb3port.parity.observations.unpacked._AT_LEAST", 0)
    monkeypatch.setitem(LIMITS, Cost.MEMORY, 1024**2)
    seen = pong(2000)
    path = file_of(tmp_path, seen, np.zeros(len(seen)))
    assert seen.nbytes > 150 * path.stat().st_size
    assert np.array_equal(read_demonstrations(path, FRAMES).observations.parts[""][-1], seen[-1])


def test_a_file_that_swells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sb3port.parity.observations.unpacked._AT_LEAST", 1024**2)
    path = file_of(tmp_path, np.zeros((1_000_000, 4), np.float32), np.zeros(1_000_000, np.int64))
    with pytest.raises(NotPortable, match=r"shown\.npz holds more than \d+ MiB once it is unpacked") as told:
        read_demonstrations(path, VECTOR)
    assert told.value.hint == "if you trust it, allow more of everything with --limits 4"
    monkeypatch.setenv("SB3PORT_LIMITS", "4")
    assert len(read_demonstrations(path, VECTOR)) == 1_000_000


WRONG: dict[str, tuple[PolicySpec, Array, Array]] = {
    "scalar": (VECTOR, FOUR, np.array(1.0)),
    "objects": (VECTOR, FOUR, np.array([None] * 4, object)),
    "nothing": (VECTOR, FOUR[:0], NONE[:0]),
    "half a choice": (CHOICE, np.array([0, 0.5, 1, 2]), NONE),
    "a choice that there is not": (CHOICE, np.array([0, 16, 1, 2]), NONE),
    "less than none": (CHOICE, np.array([0, -1, 1, 2]), NONE),
    "a huge choice": (CHOICE, np.array([0, 1e30, 1, 2]), NONE),
    "NaN": (CHOICE, np.array([0, np.nan, 1, 2]), NONE),
    "one of several choices": (CHOICES, np.array([[0, 1], [0, 2], [0, 0], [2, 0]]), NONE),
    "a colour of less than nothing": (PICTURES, np.full((4, *PICTURE), -1), NONE),
    "half a colour": (PICTURES, np.full((4, *PICTURE), 0.5), NONE),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_policy_can_learn(name: str, tmp_path: Path) -> None:
    spec, seen, acted = WRONG[name]
    with pytest.raises(NotPortable, match=r"shown\.npz"):
        read_demonstrations(file_of(tmp_path, seen, acted), spec)


@pytest.mark.parametrize("shape", [(4, 7), (4,), (4, 5, 1), (4, 0)], ids=["wide", "flat", "deep", "nothing"])
def test_masks_of_another_shape(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = file_of(tmp_path, FOUR, np.zeros((4, 2)), action_mask=np.ones(shape))
    with pytest.raises(NotPortable, match=r"masks of shape"):
        read_demonstrations(path, MASKED)


def test_what_is_forbidden_is_not_learnt(tmp_path: Path) -> None:
    acted = np.array([[1, 2], [0, 0], [1, 0], [0, 2]])
    allowed = np.ones((4, 5), np.bool_)
    allowed[:, 3] = False  # the middle one of the second three
    assert len(read_demonstrations(file_of(tmp_path, FOUR, acted, action_mask=allowed), MASKED)) == 4
    allowed[3, 4] = False
    with pytest.raises(NotPortable, match="its own masks forbid"):
        read_demonstrations(file_of(tmp_path, FOUR, acted, action_mask=allowed), MASKED)


def dataset_of(path: Path, table: Any = None) -> Path:
    """Make the folder of a LeRobotDataset, and give the place of its table."""
    (path / "shown" / "meta").mkdir(parents=True)
    (path / "shown" / "meta" / "info.json").write_text("{}")
    file = path / "shown" / "data" / "file-000.parquet"
    file.parent.mkdir()
    if table is not None:
        parquet.write_table(pa.table(table), file)
    return file


def rows_of(rows: Sequence[Any], acted: Any = None, count: int = 4) -> dict[str, Any]:
    index = np.arange(count)
    return {
        "observation.state": rows,
        "action": pa.array(index % 2 if acted is None else acted),
        "index": index,
    }


def pictures_of(*encoded: bytes) -> dict[str, Any]:
    pictures = pa.array([{"bytes": one, "path": "a.png"} for one in encoded])
    index = np.arange(len(encoded))
    return {"observation.image": pictures, "action": index % 2, "index": index}


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, "PNG")
    return file.getvalue()


LISTS = FOUR.tolist()
TABLES: dict[str, tuple[PolicySpec, dict[str, Any]]] = {
    "wide rows": (VECTOR, rows_of([[0.0] * 8] * 4)),
    "rows of unequal length": (VECTOR, rows_of([[0.0] * 3, [0.0] * 5, [0.0] * 4, [0.0] * 4])),
    "texts": (VECTOR, rows_of([["a"] * 4] * 4)),
    "a row that is not there": (VECTOR, rows_of([[0.0] * 4, None, [0.0] * 4, [0.0] * 4])),
    "actions that are texts": (VECTOR, rows_of(LISTS, ["a"] * 4)),
    "no actions": (VECTOR, rows_of(LISTS, [None] * 4)),
    "one action that is not there": (VECTOR, rows_of(LISTS, [0, None, 0, 0])),
    "dates": (VECTOR, rows_of(LISTS, np.zeros(4, "datetime64[s]"))),
    "a struct": (VECTOR, rows_of([{"x": 1}] * 4)),
    "no index": (VECTOR, {"observation.state": LISTS, "action": NONE}),
    "nothing": (VECTOR, rows_of(pa.array([], pa.list_(pa.float32())), count=0)),
    "half a choice": (CHOICE, rows_of([[0.5], [0.0], [0.0], [0.0]])),
    "NaN": (CHOICE, rows_of([[np.nan], [0.0], [0.0], [0.0]])),
    "no picture": (PICTURES, pictures_of(b"nothing")),
    "half a picture": (PICTURES, pictures_of(png(24, 20)[:50])),
    "a picture of another size": (PICTURES, pictures_of(png(25, 20))),
    "a picture in grey": (PICTURES, pictures_of(png(24, 20, "L"))),
    "more pixels than there are": (PICTURES, pictures_of(png(20_000, 10_000, "1"))),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_something_else(name: str, tmp_path: Path) -> None:
    spec, table = TABLES[name]
    dataset_of(tmp_path, table)
    with pytest.raises(NotPortable, match="shown"):
        read_demonstrations(tmp_path / "shown", spec)


def test_pictures_of_a_table_are_read(tmp_path: Path) -> None:
    dataset_of(tmp_path, pictures_of(png(24, 20), png(24, 20)))
    assert read_demonstrations(tmp_path / "shown", PICTURES).observations.parts[""].shape == (2, *PICTURE)


def test_no_program_is_run_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow gives PostScript to Ghostscript, where it is installed."""
    ran = tmp_path / "ran"
    for name in ("gs", "gswin64c"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ntouch {ran}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 20\n%%EndComments\nshowpage\n"
    dataset_of(tmp_path, pictures_of(script))
    with pytest.raises(NotPortable):
        read_demonstrations(tmp_path / "shown", PICTURES)
    assert not ran.exists()


def _large_pictures(file: Path) -> None:
    parquet.write_table(pa.table(pictures_of(*[png(6000, 6000, "L")] * 2)), file)


def _one_text_often(file: Path) -> None:
    """A table holds once what is in many rows."""
    parquet.write_table(pa.table(pictures_of(*[bytes(100_000)] * 200)), file)


def _many_rows(file: Path) -> None:
    rows = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(4_000_000, np.float32)), 4)
    zeros = np.zeros(1_000_000, np.int64)
    parquet.write_table(pa.table({"observation.state": rows, "action": zeros, "index": zeros}), file)


@pytest.mark.parametrize("write", [_large_pictures, _one_text_often, _many_rows])
def test_tables_that_swell(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sb3port.parity.observations.unpacked._AT_LEAST", 1024**2)
    write(dataset_of(tmp_path))
    spec = VECTOR if write is _many_rows else PICTURES
    with pytest.raises(NotPortable, match="once it is unpacked"):
        read_demonstrations(tmp_path / "shown", spec)


@pytest.mark.parametrize("kind", ["pipe", "link", "loop", "folder", "text"])
def test_tables_that_are_no_files(kind: str, tmp_path: Path) -> None:
    file = dataset_of(tmp_path)
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "link":
            outside = tmp_path / "outside.parquet"
            parquet.write_table(pa.table(rows_of(LISTS)), outside)
            file.symlink_to(outside)
        case "loop":
            file.symlink_to(file)
        case "folder":
            file.mkdir()
        case "text":
            file.write_bytes(b"PAR1 and so on PAR1")
    with pytest.raises(Sb3portError) as told:
        read_demonstrations(tmp_path / "shown", VECTOR)
    assert isinstance(told.value, Unsafe if kind == "link" else NotPortable)


def test_a_member_that_says_more_than_it_holds(tmp_path: Path) -> None:
    """A shape of a hundred gigabytes in a file of some bytes."""
    head = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (6_000_000_000, 4)}
    np.lib.format.write_array_header_1_0(head, shape)  # type: ignore[arg-type]
    with zipfile.ZipFile(tmp_path / "shown.npz", "w") as archive:
        archive.writestr("observation.npy", head.getvalue())
    with pytest.raises(NotPortable, match="another size than its shape says"):
        read_demonstrations(tmp_path / "shown.npz", VECTOR)
