"""Ports that were stored when their format was new: they are read as they were, and written so still."""

import json
from pathlib import Path

import pytest

from sb3port.parity.checks.integrity import check_files
from sb3port.ports.reading import read_port
from sb3port.ports.unchanged import changes
from tests.conftest import FIXTURES
from tests.ports import port_of, verified

STORED = sorted((FIXTURES.parents[1] / "ports").glob("format-*/*"))


def test_there_is_one_of_each_format() -> None:
    assert [path.parent.name for path in STORED] == ["format-1"]


@pytest.mark.parametrize("port", STORED, ids=lambda port: port.parent.name)
def test_they_are_read_and_hold(port: Path) -> None:
    assert read_port(port).spec.use_sde
    assert check_files(changes(port)).verdict == "bit-exact"
    assert verified(port, str(FIXTURES / port.name)).verdict == "bit-exact"


def test_a_port_of_today_has_the_same_bytes(tmp_path: Path) -> None:
    stored = STORED[-1]
    port = port_of(FIXTURES / stored.name, tmp_path / stored.name, verify=False).port
    names = {path.relative_to(stored).as_posix() for path in stored.rglob("*") if path.is_file()}
    assert {path.relative_to(port).as_posix() for path in port.rglob("*") if path.is_file()} == names
    for name in names - {"sb3port.json", "README.md"}:
        assert (port / name).read_bytes() == (stored / name).read_bytes(), name
    told, before = (json.loads((path / "sb3port.json").read_text()) for path in (port, stored))
    for content in (told, before):
        del content["source"]["location"], content["sb3port"]
        content["source"].pop("pairing", None)  # said since, and missing in older ports
    assert told == before
