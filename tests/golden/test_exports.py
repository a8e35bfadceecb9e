"""Real checkpoints of all ages to today's SB3 and back: the second round trip changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from sb3port.exports.read_back import changes
from sb3port.exports.sb3_form import sb3_form
from sb3port.ports.reading import read_port
from tests.conformance.cases import sampled
from tests.conftest import FIXTURES
from tests.exports import REFUSED, export_of, repaired
from tests.golden.test_eras import ERAS, NAMES
from tests.golden.test_zoo import MODELS
from tests.ports import port_of

SOURCES = [ERAS / name for name in NAMES if name not in REFUSED] + sorted(FIXTURES.iterdir())


def round_trips(source: Path, folder: Path) -> None:
    first = port_of(source, folder / "first", verify=False).checkpoint
    repaired(source, folder / "repaired", verify=False)
    second = port_of(folder / "repaired", folder / "second", verify=False).checkpoint
    export_of(folder / "second", folder / "exported", verify=False)
    port_of(folder / "exported", folder / "third", verify=False)
    assert changes(sb3_form(first), second) == []
    assert changes(*(read_port(folder / name) for name in ("second", "third"))) == []
    assert changes(*(read_port(folder / name) for name in ("third", "second"))) == []
    if not first.spec.net_arch.shared:
        settings = replace(first.training, schedules=second.training.schedules)
        assert changes(replace(first, training=settings), second) == []


@pytest.mark.parametrize("source", sampled(SOURCES, 3), ids=lambda path: "/".join(path.parts[-2:]))
def test_fixtures(source: Path, tmp_path: Path) -> None:
    round_trips(source, tmp_path)


@pytest.mark.zoo
@pytest.mark.parametrize("name", sampled(MODELS, 3))
def test_zoo_models(name: str, zoo: Path, tmp_path: Path) -> None:
    round_trips(zoo / name, tmp_path)
