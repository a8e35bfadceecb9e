"""Checkpoints of algorithms that learn from replayed steps, and of ARS, made by twelve SB3 versions: ports
against outputs recorded by these, and against today's classes.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import sb3port
from sb3port.checkpoint.checkpoint import Checkpoint, ReplaySpec
from sb3port.errors import Sb3portError
from sb3port.families.algorithms import display_name
from tests.conformance.cases import sampled
from tests.ports import port_of, verified

ERAS = Path(__file__).parents[2] / "fixtures" / "off_policy_eras"
NAMES = [str(path.parent.relative_to(ERAS)) for path in sorted(ERAS.glob("*/*/reference.npz"))]
ALGORITHMS = {"qrdqn": "QRDQN", "crossq": "CrossQ"}
# SB3 has had no layers for gSDE's noise alone since 1.3.
WITHOUT_A_FORM = ("1.0/sac-gsde-features",)


def algorithm_in(name: str) -> str:
    """Give the algorithm that a fixture is named for; one of the class HER is named for it first."""
    key = Path(name).name.removeprefix("her-").partition("-")[0]
    return ALGORITHMS.get(key, key.upper())


def test_there_are_five_eras_of_each() -> None:
    for algorithm in ("SAC", "TD3", "DQN", "TQC", "QRDQN", "ARS"):
        assert len({Path(name).parts[0] for name in NAMES if algorithm_in(name) == algorithm}) >= 5, algorithm


@pytest.mark.parametrize("name", sampled(NAMES, 12))
def test_port_computes_what_was_recorded(name: str, tmp_path: Path) -> None:
    done = port_of(ERAS / name, tmp_path / "port", verify=False)
    report = verified(tmp_path / "port")
    assert report.verdict == "bit-exact"
    recorded = {check.output: str(check.verdict) for check in report.checks if check.against == "reference"}
    assert set(recorded.values()) <= {"bit-exact", "within noise"}
    assert recorded.keys() >= _must_be_recorded(name)
    assert display_name(done.checkpoint.spec.algorithm) == algorithm_in(name)
    assert (done.checkpoint.provenance.sb3_version or "").startswith(Path(name).parts[0])
    _assert_same_state(name, done.checkpoint)


def _must_be_recorded(name: str) -> set[str]:
    with np.load(ERAS / name / "reference.npz") as arrays:
        names = set(arrays.files)
    left_out = {"sampled_action", "critic_action", "noise", "log_prob"}
    return {n for n in names if n.partition(".")[0] != "observation"} - left_out


def _assert_same_state(name: str, checkpoint: Checkpoint) -> None:
    """What the zip holds beside the networks was read: counters, and the entropy's coefficient."""
    state = json.loads((ERAS / name / "reference.json").read_text())["state"]
    settings = checkpoint.training.hyperparameters
    assert settings["_n_updates"] == state["n_updates"]
    if "exploration_rate" in state:
        assert isinstance(checkpoint.spec, ReplaySpec)
        assert checkpoint.spec.exploration_rate == state["exploration_rate"]
    if "ent_coef" in state:
        asked = checkpoint.training.replay.get("ent_coef", settings.get("ent_coef"))
        assert asked == state["ent_coef"]
        if isinstance(asked, str):
            value = np.exp(checkpoint.variables["log_ent_coef"]).item()
            assert value == pytest.approx(state["ent_coef_value"], rel=1e-6)


@pytest.mark.parametrize("name", sampled(NAMES, 27))
def test_repaired_zip_is_the_same_in_todays_sb3(name: str, tmp_path: Path) -> None:
    if name in WITHOUT_A_FORM:
        with pytest.raises(Sb3portError, match="sde_net_arch"):
            sb3port.repair(ERAS / name, tmp_path / "out")
        return
    report = sb3port.repair(ERAS / name, tmp_path / "out").report
    assert str(report.verdict) in ("bit-exact", "within noise")
