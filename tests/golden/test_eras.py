"""Checkpoints of every SB3 since 0.9, made by that SB3: the port against outputs recorded by it, and against
today's classes.
"""

from pathlib import Path

import pytest

from sb3port.families.algorithms import display_name
from tests.conformance.cases import sampled
from tests.ports import port_of

ERAS = Path(__file__).parents[2] / "fixtures" / "eras"
FOLDERS = sorted(path.parent for path in ERAS.glob("*/*/reference.npz"))
NAMES = [str(folder.relative_to(ERAS)) for folder in FOLDERS]
ALGORITHMS = {
    "ppo": "PPO",
    "a2c": "A2C",
    "trpo": "TRPO",
    "ppo_mask": "MaskablePPO",
    "ppo_lstm": "RecurrentPPO",
}


@pytest.mark.parametrize("name", sampled(NAMES, 2))
def test_port_computes_what_was_recorded(name: str, tmp_path: Path) -> None:
    done = port_of(ERAS / name, tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"
    recorded = [check for check in done.report.checks if check.against == "reference"]
    assert len(recorded) >= 5
    assert {str(check.verdict) for check in recorded} <= {"bit-exact", "within noise"}
    algorithm = Path(name).name.partition("-")[0]
    assert display_name(done.checkpoint.spec.algorithm) == ALGORITHMS[algorithm]
    assert (done.checkpoint.provenance.sb3_version or "").startswith(Path(name).parts[0])
