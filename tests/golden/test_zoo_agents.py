"""A checkout of DLR-RM/rl-trained-agents, which SB3PORT_ZOO_AGENTS names: every zip that learns from replayed
steps, and of ARS, is ported, verified and repaired.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import sb3port
from tests.ports import port_of, verified

VARIABLE = "SB3PORT_ZOO_AGENTS"
ALGORITHMS = ("sac", "td3", "ddpg", "dqn", "qrdqn", "tqc", "her", "ars")
# What SB3 until 1.0 did with HER is around the statistics: they are of a Dict, and its policy sees a vector.
WITHOUT_STATISTICS = ("her/FetchReach-v1_1/FetchReach-v1.zip",)

pytestmark = pytest.mark.skipif(
    VARIABLE not in os.environ, reason=f"{VARIABLE} names no checkout of rl-trained-agents"
)


def zips() -> Iterator[str]:
    """Name every zip that is there; large ones may be absent from a checkout."""
    root = Path(os.environ.get(VARIABLE, "."))
    for algorithm in ALGORITHMS if VARIABLE in os.environ else ():
        yield from sorted(str(path.relative_to(root)) for path in root.glob(f"{algorithm}/*/*.zip"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", list(zips()) or ["none"])
def test_real_models_are_ported_verified_and_repaired(name: str, tmp_path: Path) -> None:
    source, use_stats = Path(os.environ[VARIABLE]) / name, name not in WITHOUT_STATISTICS
    port_of(source, tmp_path / "port", verify=False, use_stats=use_stats)
    assert verified(tmp_path / "port").verdict == "bit-exact"
    report = sb3port.repair(source, tmp_path / "out", use_stats=use_stats).report
    assert str(report.verdict) in ("bit-exact", "within noise")
