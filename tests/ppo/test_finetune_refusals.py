"""Policies that learn from replayed steps are not fine-tuned here: a sentence says so."""

from pathlib import Path

import pytest

import sb3port
from sb3port.errors import UsageError
from tests.conftest import REPOSITORY
from tests.ports import port_of

SAC = REPOSITORY / "fixtures" / "off_policy_eras" / "2.9.2" / "sac-box"


def test_sac_is_refused_in_a_sentence(tmp_path: Path) -> None:
    port_of(SAC, tmp_path / "port", verify=False)
    with pytest.raises(UsageError, match="learn from rollouts, and SAC's do not") as caught:
        sb3port.finetune(tmp_path / "port", out=tmp_path / "run", steps=10, env="Pendulum-v1")
    assert "export" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


def test_training_anew_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not train sac") as caught:
        sb3port.train("Pendulum-v1", tmp_path / "run", steps=10, algo="sac")
    assert "train it with SB3" in str(caught.value.hint)
