"""Statistics within a policy (imitation's) take in what is learnt from, as with SB3, and are saved."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from sb3port.commands.policies import find_policy
from sb3port.commands.train import begin_finetuning
from sb3port.commands.training_arguments import RunOptions
from sb3port.commands.verify import verify
from sb3port.ports.reading import read_port
from sb3port.ppo.runs.resuming import resume
from sb3port.ppo.runs.running import Watcher, train
from tests.ports import port_of

from .test_update import updates

ERAS = Path(__file__).parents[2] / "fixtures" / "eras" / "2.2.1"
COUNT = "features_extractor.normalize.count"


class Drift(gymnasium.Env[Any, Any]):
    """What imitation's fixtures observe and do; short episodes."""

    def __init__(self, shape: tuple[int, ...], choices: bool) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, shape, np.float32)
        low, high = np.array([-0.5, -0.75], np.float32), np.array([0.25, 0.375], np.float32)
        self.action_space = spaces.MultiDiscrete([2, 3]) if choices else spaces.Box(low, high)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.left, self.seen = 7, self.np_random.normal(size=self.observation_space.shape)
        self.seen = self.seen.astype(np.float32)
        return self.seen, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        self.seen = (self.seen + action.sum()).astype(np.float32)
        return self.seen, float(-np.abs(self.seen).sum()), self.left == 0, False, {}


ENVS = {"ppo-imitation": "rollouts/Drift4-v0", "ppo-imitation-apart": "rollouts/Drift6-v0"}
gymnasium.register("rollouts/Drift4-v0", Drift, kwargs={"shape": (4,), "choices": False})
gymnasium.register("rollouts/Drift6-v0", Drift, kwargs={"shape": (2, 3), "choices": True})


@pytest.mark.parametrize(
    "name", [pytest.param("ppo-imitation", marks=pytest.mark.thorough), "ppo-imitation-apart"]
)
def test_they_learn_as_sb3_lets_them(name: str, tmp_path: Path) -> None:
    port = port_of(ERAS / name, tmp_path / "port", verify=False).port
    checks = updates(port, ENVS[name], range(10))
    assert [check.verdict for check in checks] == ["bit-exact", "bit-exact"], checks

    given = {"n_steps": 32, "batch_size": 16, "n_epochs": 3}
    options = RunOptions(ENVS[name], given, 64, 1, save_every=32, run={"eval_episodes": 1})
    before = read_port(port).tensors
    trainer, origin = begin_finetuning(find_policy(port), options, lambda _: None)
    last = train(trainer, origin, tmp_path / "run", Watcher()).last / "pretrained_model"
    after = read_port(last).tensors
    assert after[COUNT] == before[COUNT] + 2 * 3 * 32
    assert verify(last).verdict == "bit-exact"

    again = resume(tmp_path / "run" / "checkpoints" / "000096", lambda _: None, ENVS[name])
    outcome = train(*again, Watcher())
    resumed = read_port(outcome.last / "pretrained_model").tensors
    assert all(np.array_equal(array, resumed[key]) for key, array in after.items())
