"""Fine-tuning policies whose features extractors are not SB3's."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from sb3port.networks import own_extractors as own
from sb3port.ports.reading import read_port
from tests import own_extractors
from tests.conftest import REPOSITORY
from tests.readers.making import Still

from .cases import SMALL
from .sb3 import Case, assert_same, finetune, finetune_sb3, save_sb3, train_sb3

WAVES = "tests.own_extractors:Waves1"
IMITATION = REPOSITORY / "fixtures/eras/2.2.1/ppo-imitation"
gymnasium.register(
    "imitated/Still-v0",
    Still,
    disable_env_checker=True,
    kwargs={
        "observation_space": spaces.Box(-np.inf, np.inf, (4,)),
        "action_space": spaces.Box(np.float32([-0.5, -0.75]), np.float32([0.25, 0.375])),
    },
)


def test_code_of_ones_own_learns_as_with_sb3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "_registered", {})
    monkeypatch.setenv(own.VARIABLE, "")
    kwargs = {
        "features_extractor_class": own_extractors.Waves1,
        "features_extractor_kwargs": {"features_dim": 6},
        "net_arch": [8],
    }
    case = Case("Pendulum-v1", 128, settings=SMALL, policy_kwargs=kwargs)
    source = save_sb3(train_sb3(case), tmp_path / "model")
    trainer, warnings = finetune(case, source, tmp_path / "port", WAVES)
    assert warnings == []
    assert_same(trainer, finetune_sb3(case, source))


def test_running_statistics_go_on_in_updates_only(tmp_path: Path) -> None:
    count = "features_extractor.normalize.count"
    case = Case("imitated/Still-v0", 64, settings=SMALL)
    trainer, _ = finetune(case, IMITATION, tmp_path / "port")
    before, after = read_port(tmp_path / "port").tensors, trainer.engine.tensors()
    settings = trainer.settings.hyperparameters
    assert after[count] == before[count] + 64 * settings.n_epochs
    assert list(after) == list(before)
