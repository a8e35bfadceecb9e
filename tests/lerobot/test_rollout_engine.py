"""The engine that `lerobot-rollout` asks for actions on a robot, with ports of two and more actions."""

from pathlib import Path

import numpy as np
import pytest
from lerobot.policies.factory import make_pre_post_processors
from lerobot.rollout.inference.sync import SyncInferenceEngine
from lerobot_policy_ppo.modeling_ppo import PPOPolicy

from tests.rollouts.models import make_model, raw_observations, row_of


@pytest.mark.parametrize("name", ["box-normalized", "gsde-squashed", "lstm"])
def test_actions_are_those_of_sb3(name: str, tmp_path: Path) -> None:
    model = make_model(name, tmp_path / "model")
    size = model.sb3.action_space.shape[0]
    assert size >= 2
    engine = engine_for(model.port(tmp_path / "port"), size)
    raw = raw_observations(name, 5)
    for _ in range(2):
        engine.reset()
        state = None
        for step in range(5):
            observation = row_of(raw, step)
            action = engine.get_action({"observation.state": np.array(observation, np.float32)})
            expected, state = model.predict(
                np.asarray(observation, np.float32)[None], state=state, deterministic=True
            )
            assert action is not None
            assert np.array_equal(action.numpy(), expected[0])


def engine_for(port: Path, size: int) -> SyncInferenceEngine:
    names = [f"motor_{number}.pos" for number in range(size)]
    features = {"action": {"dtype": "float32", "shape": (size,), "names": names}}
    policy = PPOPolicy.from_pretrained(port)
    processors = make_pre_post_processors(policy.config, pretrained_path=str(port))
    return SyncInferenceEngine(policy, *processors, features, names, "", "cpu", "robot")
