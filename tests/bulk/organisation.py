"""A generated organisation: the fixtures' variants with other weights, in the layout of the Hub."""

import io
import shutil
import zipfile
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2] / "fixtures"
FIXTURES = ROOT / "hub" / "sb3port"
# Many are as the zoo's, and some of every other kind whose networks are small.
VARIANTS = tuple(
    ROOT / name
    for name in (
        "hub/sb3port/ppo-Pendulum-v1",
        "hub/sb3port/ppo-CartPole-v1",
        "hub/sb3port/ppo-Pendulum-v1-half",
        "eras/1.0/ppo-gsde-features",
        "eras/1.0/ppo-box-float64",
        "eras/1.6.2/ppo-multidiscrete",
        "eras/1.8.0/ppo-box-unequal",
        "eras/1.8.0/ppo-gsde-flags",
        "eras/2.0.0/ppo-box-linear",
        "eras/2.3.2/ppo-discrete-start",
        "eras/2.6.0/a2c-discrete",
        "eras/2.7.0/ppo-box-linear",
        "eras/2.9.2/ppo-rank2",
        "eras/2.9.2/ppo_mask-multidiscrete",
    )
)


def organisation(
    root: Path, count: int, variants: Sequence[Path] = VARIANTS, owner: str = "org"
) -> list[str]:
    """Write repositories below `root/<owner>`, and give their names."""
    names = []
    for number in range(count):
        source = variants[number % len(variants)]
        name = f"{source.name}-{number:05d}"
        model(source, root / owner / name, number)
        names.append(f"{owner}/{name}")
    return names


def model(source: Path, folder: Path, seed: int) -> Path:
    """Write one repository of other weights, and give its zip."""
    folder.mkdir(parents=True)
    for name in ("vec_normalize.pkl", "config.yml", "args.yml"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    path = folder / f"{folder.name}.zip"
    path.write_bytes(reweighted(source / f"{source.name}.zip", seed))
    return path


def reweighted(path: Path, seed: int) -> bytes:
    """Give a zip of SB3's with other weights."""
    members = dict(_members(path.read_bytes()))
    members["policy.pth"] = _scaled(members["policy.pth"], 1 + (seed % 1009) * 2.0**-12)
    return _zipped(members)


@cache
def _members(content: bytes) -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return tuple((info.filename, archive.read(info)) for info in archive.infolist())


def _scaled(weights: bytes, factor: float) -> bytes:
    """Multiply every number of torch's archive, where it holds numbers of four bytes."""
    members = dict(_members(weights))
    wide = b"DoubleStorage" in b"".join(islice(members.values(), 2))
    for name, content in members.items():
        if "/data/" in name and not wide and len(content) % 4 == 0:
            members[name] = (np.frombuffer(content, "<f4") * np.float32(factor)).tobytes()
    return _zipped(members)


def _zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    return file.getvalue()
