"""Bulk runs on a Ray cluster of two nodes on this machine, of which one is killed in the middle."""

import json
from pathlib import Path

import pytest

from tests.bulk.organisation import organisation
from tests.bulk.runs import bulk, by_model, essence, tree
from tests.interop.environments import ROOT, environment, run

pytestmark = pytest.mark.interop
COUNT = 48


def test_nothing_is_lost_with_a_node_and_nothing_done_twice(tmp_path: Path) -> None:
    python = environment("ray", ("ray>=2.40", f"sb3port @ {ROOT.as_uri()}"))
    names = organisation(tmp_path / "models", COUNT)
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    said = run(python, "-m", "tests.bulk.on_ray", tmp_path / "models", out, "--kill", cwd=ROOT)
    counts = json.loads(said.splitlines()[-1])
    assert counts["done"] == COUNT
    assert 0 < counts["killed_after"] < COUNT
    assert len(by_model(out)) == len(list(out.glob("org/*/sb3port.json"))) == len(names)
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    bulk(undisturbed, tmp_path / "models")
    assert essence(out) == essence(undisturbed)
    assert tree(out) == tree(undisturbed)
