"""`--env.type=gymnasium` with every kind of space, masks and memory: the returns of SB3's `predict`."""

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.factory import make_env
from lerobot.envs.utils import env_to_policy_features, preprocess_observation
from lerobot.policies.factory import make_policy
from lerobot.scripts import lerobot_eval
from lerobot_policy_ppo.env_gymnasium import LeRobotGymnasium
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from stable_baselines3.common.policies import ActorCriticPolicy

from lerobot_policy_ppo import GymnasiumEnvConfig, PPOConfig, make_ppo_pre_post_processors
from tests.gym_spaces import image_shape, is_image, observation_parts

from .environments import KINDS, NAMES, PICTURE
from .oracles import make_pair
from .test_env_gymnasium import NEW_ROLLOUT, evaluate
from .test_spaces_parity import CNN, COMBINED

TASK = "plugin_tests/Any-v0"
LSTM = {"lstm_hidden_size": 9}
MASKABLE = {"maskable": True}
PLAIN: dict[str, dict[str, Any]] = {
    "image": CNN,
    "image-first": CNN,
    "dict": COMBINED,
    "discrete": {},
    "multi-discrete": {},
    "multi-binary": {},
    "vector-multi-binary": {},
    "vector-multi-discrete": {},
}
CASES: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    **{kind: (kind, None, kwargs) for kind, kwargs in PLAIN.items()},
    "image-flat": ("image", None, {}),
    "masks-info": ("vector-discrete", "info", MASKABLE),
    "masks-method": ("vector-discrete", "method", MASKABLE),
    "masks-multi-discrete": ("vector-multi-discrete", "method", MASKABLE),
    "masks-multi-binary": ("vector-multi-binary", "info", MASKABLE),
    "masks-beside-a-seen-one": ("mask-seen", "method", {**MASKABLE, **COMBINED}),
    "maskable-without-masks": ("vector-discrete", None, MASKABLE),
    "recurrent": ("vector-box", None, LSTM),
    "recurrent-layers": (
        "vector-multi-discrete",
        None,
        {**LSTM, "n_lstm_layers": 2, "enable_critic_lstm": False},
    ),
    "recurrent-image": ("image", None, {**LSTM, **CNN}),
    "recurrent-dict": ("dict", None, {**LSTM, **COMBINED}),
}


def first(space: spaces.Space) -> spaces.Space:
    """The space of the policy, with channels first."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict([(name, first(part)) for name, part in space.spaces.items()])
    return spaces.Box(0, 255, image_shape(space), np.uint8) if is_image(space) else space


def stacked(space: spaces.Space, rows: list[Any]) -> Any:
    """A batch for SB3 that went through LeRobot's rounding, images contiguous with channels first."""
    if isinstance(space, spaces.Dict):
        return {name: stacked(part, [row[name] for row in rows]) for name, part in space.spaces.items()}
    batch = np.stack(rows)
    if is_image(space) and image_shape(space) != space.shape:
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
    return batch.astype(np.float32) if batch.dtype == np.float64 else batch


def roll_out_sb3(
    make: Any, oracle: ActorCriticPolicy, batch_size: int, n_episodes: int, masked: bool
) -> list[float]:
    """Returns of SB3's `predict`, a batch in one forward pass until the last episode of it ends."""
    returns: list[float] = []
    for start in range(0, n_episodes, batch_size):
        envs = [make() for _ in range(batch_size)]
        rows = [env.reset(seed=100 + start + i)[0] for i, env in enumerate(envs)]
        totals, done, state = np.zeros(batch_size), np.zeros(batch_size, bool), None
        while not done.all():
            kwargs = {"action_masks": np.stack([env.unwrapped.mask() for env in envs])} if masked else {}
            batch = stacked(envs[0].observation_space, rows)
            actions, state = oracle.predict(batch, state=state, deterministic=True, **kwargs)
            for i in np.flatnonzero(~done):
                rows[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
                totals[i] += reward
                done[i] = terminated or truncated
        returns += totals.tolist()
    return returns


def pair_for(case: str) -> tuple[ActorCriticPolicy, PPOPolicy]:
    kind, _, kwargs = CASES[case]
    observation, action = KINDS[kind]
    return make_pair(first(observation), action, seed=2, **kwargs)


def config_for(case: str) -> GymnasiumEnvConfig:
    kind, masks, _ = CASES[case]
    return GymnasiumEnvConfig(task=TASK, env_kwargs={"kind": kind, "masks": masks}, episode_length=50)


@pytest.mark.parametrize("case", CASES)
def test_returns_are_those_of_sb3(case: str) -> None:
    oracle, port = pair_for(case)
    kind, masks, _ = CASES[case]
    for batch_size in (1, 4):
        episodes = evaluate(config_for(case), port, batch_size, 8)
        got = [episode["sum_reward"] for episode in episodes]
        expected = roll_out_sb3(
            lambda: gym.make(TASK, kind=kind, masks=masks), oracle, batch_size, 8, masks is not None
        )
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert len(set(got)) > 1, "episodes must differ"


def test_memory_is_reset_between_rollouts() -> None:
    """The same seeds twice: a memory left over from the first rollout would show in the second."""
    _, port = pair_for("recurrent")
    config = config_for("recurrent")
    one = [episode["sum_reward"] for episode in evaluate(config, port, 3, 6)]
    assert port._memory._latest is not None
    assert [episode["sum_reward"] for episode in evaluate(config, port, 3, 6)] == one
    port.reset = lambda: None
    assert [episode["sum_reward"] for episode in evaluate(config, port, 3, 6)] != one


def test_masks_are_obeyed_because_they_are_seen() -> None:
    """Without the mask the policy would choose what is forbidden, which the environment asserts against."""
    _, port = pair_for("masks-info")
    port._mask = lambda *_: None
    with pytest.raises(AssertionError):
        evaluate(config_for("masks-info"), port, 1, 6)


def test_features_follow_from_the_spaces() -> None:
    config = config_for("dict")
    assert env_to_policy_features(config) == {
        "action": PolicyFeature(FeatureType.ACTION, (4,)),
        "observation.robot_state": PolicyFeature(FeatureType.STATE, (4,)),
        "observation.images.agent_pos": PolicyFeature(FeatureType.VISUAL, (3, 40, 36)),
        "observation.pixels": PolicyFeature(FeatureType.STATE, (1,)),
        "observation.bits": PolicyFeature(FeatureType.STATE, (3,)),
        "observation.state": PolicyFeature(FeatureType.STATE, (1,)),
    }
    masked = env_to_policy_features(config_for("masks-multi-binary"))
    assert masked["observation.action_mask"] == PolicyFeature(FeatureType.STATE, (8,))
    both = env_to_policy_features(config_for("masks-beside-a-seen-one"))
    keys = ["observation.x", "observation.action_mask", "observation.policy.action_mask", "action"]
    assert sorted(both) == sorted(keys)
    assert "observation.action_mask" not in env_to_policy_features(config_for("maskable-without-masks"))


@pytest.mark.parametrize("case", ["image", "image-first", "dict", "masks-method", "multi-discrete"])
def test_a_new_policy_for_an_environment(case: str) -> None:
    """LeRobot derives features from the environment, and the policy its spaces from those."""
    kwargs = {key: value for key, value in CASES[case][2].items() if key != "share_features_extractor"}
    if case == "masks-method":
        kwargs["action_space"] = {"type": "Discrete", "n": 5}
    policy = make_policy(PPOConfig(device="cpu", **kwargs), env_cfg=config_for(case))
    seen = {key: f.type for key, f in policy.config.input_features.items()}
    assert [is_image(part) for part in observation_parts(policy.config.gym_observation_space()).values()] == [
        kind is FeatureType.VISUAL for key, kind in seen.items() if not key.endswith("mask")
    ]
    config = config_for(case)
    obs, _ = make_env(config, n_envs=2)["gymnasium"][0].reset(seed=[0, 1], options=NEW_ROLLOUT)
    batch = config.get_env_processors()[0](preprocess_observation(obs))
    assert policy.select_action(batch).shape[0] == 2
    assert set(policy.config.input_features) == {key for key in batch if key.startswith("observation.")}


def test_lerobot_sees_what_sb3_sees() -> None:
    config = config_for("dict")
    obs, _ = make_env(config, n_envs=2)["gymnasium"][0].reset(seed=[3, 4], options=NEW_ROLLOUT)
    batch = config.get_env_processors()[0](preprocess_observation(obs))
    rows = [gym.make(TASK, kind="dict").reset(seed=seed)[0] for seed in (3, 4)]
    expected = stacked(NAMES, rows)
    images = torch.as_tensor(expected["agent_pos"])
    assert torch.equal(batch["observation.images.agent_pos"], images.float() / 255)
    assert batch["observation.images.agent_pos"].is_contiguous()
    assert torch.equal(batch["observation.pixels"], torch.as_tensor(expected["pixels"])[:, None].float())
    assert torch.equal(
        batch["observation.robot_state"], torch.as_tensor(expected["robot_state"]).reshape(2, -1)
    )
    assert torch.equal(batch["observation.bits"], torch.as_tensor(expected["bits"]).float())
    assert "observation.robot_state" in batch
    assert not any("/" in key for key in batch)


def test_masks_at_the_end_allow_everything() -> None:
    """Nothing is chosen any more, and environments need not know masks for that."""
    env = LeRobotGymnasium(TASK, env_kwargs={"kind": "vector-discrete", "masks": "info"})
    obs, _ = env.reset(seed=0)
    assert 0 < obs["action_mask"].sum() <= 5
    masks = [obs["action_mask"]]
    terminated = False
    while not terminated:
        obs, _, terminated, _, _ = env.step(np.array([int(np.flatnonzero(obs["action_mask"])[0])]))
        masks.append(obs["action_mask"])
    assert obs["action_mask"].all()
    assert any(not mask.all() for mask in masks)
    assert env.observation_space["action_mask"].contains(obs["action_mask"])


def test_an_observation_named_like_the_mask_is_an_observation() -> None:
    class Named(gym.Env):
        observation_space = spaces.Dict({"action_mask": spaces.MultiBinary(3), "x": PICTURE})
        action_space = spaces.Discrete(3)

        def reset(self, **kwargs: Any) -> Any:
            return self.observation_space.sample(), {"action_mask": np.ones(3)}

    gym.register("plugin_tests/Named-v0", Named, disable_env_checker=True)
    try:
        config = GymnasiumEnvConfig(task="plugin_tests/Named-v0")
        env = LeRobotGymnasium("plugin_tests/Named-v0")
    finally:
        del gym.registry["plugin_tests/Named-v0"]
    assert list(config.features) == ["action", "action_mask", "pixels/x", "policy.action_mask"]
    obs, _ = env.reset(seed=0)
    assert obs["action_mask"].shape == (3,)
    assert obs["policy.action_mask"].tolist() == [1, 1, 1]
    assert env.observation_space.contains(obs)


@pytest.mark.long
@pytest.mark.parametrize("case", ["recurrent-dict", "masks-multi-binary", "masks-beside-a-seen-one", "image"])
def test_lerobot_eval_command(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LeRobot's own parser, factories and files."""
    oracle, port = pair_for(case)
    kind, masks, _ = CASES[case]
    for part in (port, *make_ppo_pre_post_processors(port.config)):
        part.save_pretrained(tmp_path / "port")
    kwargs = json.dumps({"kind": kind, "masks": masks})
    options = ("--eval.n_episodes=4", "--eval.batch_size=2", "--eval.use_async_envs=false", "--seed=100")
    paths = (f"--policy.path={tmp_path / 'port'}", f"--output_dir={tmp_path / 'out'}")
    environment = (
        "--env.type=gymnasium",
        f"--env.task={TASK}",
        f"--env.env_kwargs={kwargs}",
        "--env.episode_length=9",
    )
    monkeypatch.setattr(sys, "argv", ["lerobot-eval", *paths, *environment, *options])
    lerobot_eval.main()
    info = json.loads((tmp_path / "out" / "eval_info.json").read_text())
    got = info["per_task"][0]["metrics"]["sum_rewards"]
    expected = roll_out_sb3(lambda: gym.make(TASK, kind=kind, masks=masks), oracle, 2, 4, masks is not None)
    assert got == pytest.approx(expected, rel=1e-12, abs=1e-12)
