"""Bulk runs on a Ray cluster of two nodes on this machine, of which one is killed in the middle."""

import json
from pathlib import Path

import pytest

from tests.bulk.organisation import organisation
from tests.bulk.runs import by_model, essence, tree
from tests.interop.environments import ROOT, environment, run

# Ray's own workers do not always start where several clusters came and went.
pytestmark = [pytest.mark.interop, pytest.mark.thorough]
COUNT = 60


def test_nothing_is_lost_with_a_node_and_nothing_done_twice(tmp_path: Path) -> None:
    python = environment("ray", ("ray>=2.40", f"sb3port @ {ROOT.as_uri()}"))
    names = organisation(tmp_path / "models", COUNT)
    ported = {}
    for kind, options in (("killed", ("--kill",)), ("one", ("--nodes", "1"))):
        out = tmp_path / kind
        said = run(python, "-m", "tests.bulk.on_ray", tmp_path / "models", out, *options, cwd=ROOT)
        ported[kind] = json.loads(said.splitlines()[-1])
        assert ported[kind]["done"] == COUNT
        assert len(by_model(out)) == len(list(out.glob("org/*/sb3port.json"))) == len(names)
        assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    assert 0 < ported["killed"]["killed_after"] < COUNT
    assert essence(tmp_path / "killed") == essence(tmp_path / "one")
    assert tree(tmp_path / "killed") == tree(tmp_path / "one")
