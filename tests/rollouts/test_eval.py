"""`eval` of every kind of policy: images, Dicts, masks, memory. SB3's own `predict` has the same returns."""

from pathlib import Path

import pytest

from sb3port.commands.evaluate import evaluate_port
from sb3port.environments.rollouts import Setting

from .models import MODELS, SEEDS, episodes_of_sb3, make_model


@pytest.mark.parametrize("name", MODELS)
def test_returns_are_those_of_sb3(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    result = evaluate_port(model.port(tmp_path / "port"), Setting(model.kind.env_id, SEEDS))
    rewards = [rewards for _, rewards in episodes_of_sb3(model)]
    assert result.returns == tuple(map(sum, rewards))
    assert result.lengths == tuple(map(len, rewards))
