"""Examines the inputs of many seeds, counts how they end, and keeps what must not be."""

import json
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .corpus import BESIDE, Corpus, load_sources
from .guard import Guard
from .inputs import Input, make
from .parts import parts_of
from .properties import Examination

_MEMORY = Path("/dev/shm")
_guards: list[Guard] = []


@dataclass
class Findings:
    """What was found.

    Args:
        folder: Where an input of every kind is kept.
        seeds: By the kind of finding, the seeds of its inputs.
    """

    folder: Path
    seeds: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kind: str, given: Input) -> bool:
        """Note a finding; whether it is the first of its kind, of which the input is kept."""
        first = kind not in self.seeds
        self.seeds.setdefault(kind, []).append(given.seed)
        if first:
            self.folder.mkdir(parents=True, exist_ok=True)
            given.save(
                self.folder / f"{re.sub(r'[^A-Za-z0-9.]+', '-', kind)[:80].strip('-')}-{given.seed}.fuzz"
            )
        return first


class Fuzzer:
    """The inputs of all seeds, examined.

    Args:
        findings: Where inputs are kept that something was found with.
    """

    def __init__(self, findings: Path) -> None:
        base = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
        self.scratch = Path(tempfile.mkdtemp(prefix="sb3port-fuzz-", dir=base))
        sources = load_sources()
        self.corpus = Corpus(sources, self.scratch / "corpus", parts_of(sources))
        self.findings = Findings(findings)
        self.outcomes: Counter[str] = Counter()
        self.inputs = 0
        self.guard = _guard(self.scratch)
        self.examination = Examination(self.scratch, self.guard)
        self._warm_up()

    def _warm_up(self) -> None:
        """Read what is honest, so that whatever is imported later was not needed for that."""
        for kind, raws in self.corpus.parts.items():
            for raw in raws:
                self.examination.examine(Input("part", kind, {kind: raw}, True, -1, True))
        for source in self.corpus.sources[::4]:
            self.examination.examine(Input("source", source.name, source.whole | BESIDE, True, -1, True))
            results = {name: raw for name, raw in BESIDE.items() if name != "results.json"}
            self.examination.examine(Input("source", source.name, source.whole | results, False, -1, True))
            if port := self.corpus.ports.get(source.name):
                self.examination.examine(Input("port", source.name, port, True, -1, True))
        self.guard.limit_memory()

    def run(self, seeds: Iterable[int], seconds: float = float("inf")) -> None:
        """Examine the inputs of seeds, until they or the time are over."""
        end = time.monotonic() + seconds
        for seed in seeds:
            if time.monotonic() > end:
                break
            self.examine(make(seed, self.corpus))

    def examine(self, given: Input) -> list[str]:
        """Examine one input; what was found with it is printed where it is new, and returned."""
        outcome, found = self.examination.examine(given)
        self.inputs += 1
        self.outcomes[f"{given.kind}: {outcome}"] += 1
        for kind in found:
            if self.findings.add(kind, given):
                print(f"FOUND {kind}  (seed {given.seed})", flush=True)
        return found

    def summary(self) -> dict[str, Any]:
        """Give counts of inputs, outcomes and findings."""
        found = {
            kind: {"inputs": len(seeds), "first": seeds[:3]} for kind, seeds in self.findings.seeds.items()
        }
        return {"inputs": self.inputs, "outcomes": dict(self.outcomes.most_common()), "findings": found}

    def close(self) -> None:
        """Remove what was written meanwhile."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def _guard(scratch: Path) -> Guard:
    """Give the one guard of this process."""
    if not _guards:
        _guards.append(Guard(scratch))
    _guards[0].move_to(scratch)
    return _guards[0]


def shown(summary: dict[str, Any]) -> str:
    """Write a summary for people and programs."""
    return json.dumps(summary, indent=1)
