"""One input: files that were honest before something in them was changed. It follows from its seed alone."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from .corpus import BESIDE, Corpus
from .files import Files, changed_file, changed_torch
from .pickled import changed_pickle
from .values import changed_yaml

Kind: TypeAlias = Literal["part", "source", "port"]
_NOTE = "fuzz.json"
# Whole sources and ports take ten times as long as parts of sources.
_PARTS, _SOURCES = 0.75, 0.9
_PART_WEIGHTS = {"space": 5, "schedule": 3, "kwargs": 2, "torch": 4, "config": 3, "statistics": 4}


@dataclass(frozen=True)
class Input:
    """What is given to the readers.

    Args:
        kind: Whether it is read as a part of a source, as a source or as a port.
        name: Of its folder; of a part, what part it is.
        files: By their names within it; a part is one.
        use_stats: Whether statistics are read.
        seed: What it was made from.
        thorough: Whether what was read is also written as a port and read again, and what was refused is
            refused again.
    """

    kind: Kind
    name: str
    files: Files
    use_stats: bool
    seed: int
    thorough: bool

    def save(self, path: Path) -> None:
        """Keep it, so that `load` gives it again."""
        with zipfile.ZipFile(path, "w") as archive:
            note = {"kind": self.kind, "name": self.name, "use_stats": self.use_stats, "seed": self.seed}
            archive.writestr(_NOTE, json.dumps(note))
            for name, raw in self.files.items():
                archive.writestr(f"files/{name}", raw)


def load(raw: bytes) -> Input:
    """Give an input that was saved."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        note = json.loads(archive.read(_NOTE))
        names = [name for name in archive.namelist() if name.startswith("files/")]
        files = {name.removeprefix("files/"): archive.read(name) for name in names}
    return Input(note["kind"], note["name"], files, note["use_stats"], note["seed"], thorough=True)


def make(seed: int, corpus: Corpus) -> Input:
    """Make the input of a seed."""
    rng = Random(seed)
    chance = rng.random()
    if chance < _PARTS:
        return _part(seed, rng, corpus)
    return _source(seed, rng, corpus) if chance < _SOURCES else _port(seed, rng, corpus)


def _part(seed: int, rng: Random, corpus: Corpus) -> Input:
    (kind,) = rng.choices(list(_PART_WEIGHTS), list(_PART_WEIGHTS.values()))
    raw = rng.choice(corpus.parts[kind])
    change = {"torch": changed_torch, "config": changed_yaml}.get(kind, changed_pickle)
    return Input("part", kind, {kind: change(raw, rng)}, True, seed, rng.random() < 0.1)


def _source(seed: int, rng: Random, corpus: Corpus) -> Input:
    source = rng.choice(corpus.sources)
    files = dict(source.slim if rng.random() < 0.85 else source.whole)
    for name in BESIDE:
        if rng.random() < 0.1:
            files[name] = BESIDE[name]
    if "vec_normalize.pkl" in files and rng.random() < 0.3:
        del files["vec_normalize.pkl"]
    weights = [8 if name.endswith(".zip") else 4 if name.endswith(".pkl") else 2 for name in files]
    for name in dict.fromkeys(rng.choices(list(files), weights, k=rng.choice((1, 1, 1, 2)))):
        files[name] = changed_file(name, files[name], rng, corpus.zips)
    return Input("source", source.name, files, rng.random() < 0.85, seed, rng.random() < 0.15)


_OFTEN = ("sb3port.json", "config.json")


def _port(seed: int, rng: Random, corpus: Corpus) -> Input:
    name = rng.choice(list(corpus.ports))
    files = {file: raw for file, raw in corpus.ports[name].items() if file != "README.md"}
    if rng.random() < 0.15:
        del files["sb3port.json"]
    names = [file for file in files for _ in range(4 if file in _OFTEN else 1)]
    for file in dict.fromkeys(rng.choices(names, k=rng.choice((1, 1, 1, 2, 3)))):
        files[file] = changed_file(file, files[file], rng)
    if rng.random() < 0.03:
        del files[rng.choice(list(files))]
    return Input("port", name, files, True, seed, rng.random() < 0.15)
