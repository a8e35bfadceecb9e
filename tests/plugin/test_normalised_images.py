"""Images under VecNormalize: SB3's policy takes floats, the environment shows images, LeRobot scales them."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from lerobot.envs.factory import make_env
from lerobot.policies.factory import make_pre_post_processors
from lerobot.scripts import lerobot_eval
from lerobot_policy_ppo.modeling_ppo import PPOPolicy
from lerobot_policy_ppo.processor_ppo import VecNormalizeProcessorStep
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecFrameStack,
    VecNormalize,
    VecTransposeImage,
)

from lerobot_policy_ppo import GymnasiumEnvConfig
from sb3port.checkpoint.checkpoint import Wrapper
from sb3port.commands.evaluate import evaluate_port
from sb3port.environments.rollouts import Setting
from sb3port.environments.wrapping import Wrapping
from sb3port.files.port_files import PREPROCESSOR_FILE
from tests.ports import port_of

LAST = spaces.Box(0, 255, (36, 40, 2), np.uint8)
FIRST = spaces.Box(0, 255, (2, 36, 40), np.uint8)
TASK = "normalised_images/Shown-v0"
CNN = {"normalize_images": False, "features_extractor_kwargs": {"features_dim": 8}}
SEED, EPISODES = 100, 3


class Shown(gym.Env[Any, Any]):
    """Images that depend on what was done, alone or beside a vector."""

    def __init__(self, kind: str) -> None:
        image = FIRST if "first" in kind else LAST
        vector = spaces.Box(-3.0, 3.0, (4,), np.float32)
        both = {"vec": vector, "img": image}
        self.observation_space = spaces.Dict(both) if "dict" in kind else image
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.steps, self.place = 0, 100.0
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.place += 10 * float(action[0] - action[1])
        return self.observe(), self.place, False, self.steps >= 5, {}

    def observe(self) -> Any:
        if isinstance(self.observation_space, spaces.Dict):
            vector = self.np_random.normal(size=4).astype(np.float32)
            return {"vec": vector, "img": self.image(self.observation_space["img"].shape)}
        return self.image(self.observation_space.shape)

    def image(self, shape: tuple[int, ...]) -> Any:
        return np.clip(self.np_random.normal(self.place, 40, shape), 0, 255).astype(np.uint8)


gym.register(TASK, Shown, disable_env_checker=True)


def normalised(kind: str) -> VecEnv:
    venv: VecEnv = DummyVecEnv([lambda: Shown(kind)])
    venv = VecTransposeImage(venv) if "transposed" in kind else venv
    keys = ["img"] if kind == "dict, image alone" else None
    venv = VecNormalize(venv, norm_obs_keys=keys, norm_reward=False)
    return VecFrameStack(venv, 3) if "stacked" in kind else venv


# The policy, its arguments, and what goes around the environment.
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "channels first": ("CnnPolicy", CNN, {}),
    "transposed": ("CnnPolicy", CNN, {}),
    "channels last, in an MLP": ("MlpPolicy", {}, {}),
    "stacked": ("MlpPolicy", {}, {"FrameStack": {"n_stack": 3}}),
    "dict": ("MultiInputPolicy", {}, {}),
    "dict, image alone": ("MultiInputPolicy", {}, {}),
    "dict, channels first": ("MultiInputPolicy", {}, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lerobot_eval_earns_what_sb3_earns(kind: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    policy, kwargs, wrappers = KINDS[kind]
    env, shown = normalised(kind), {"kind": kind}
    kwargs = {"net_arch": [8], **kwargs}
    model = PPO(
        policy, env, n_steps=32, batch_size=32, n_epochs=2, device="cpu", seed=0, policy_kwargs=kwargs
    )
    model.learn(32)
    normalizer = model.get_vec_normalize_env()
    assert normalizer is not None
    normalizer.training = False
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model" / "model.zip")
    normalizer.save(str(tmp_path / "model" / "vec_normalize.pkl"))
    port = port_of(tmp_path / "model", tmp_path / "port", verify=False).port

    expected = sb3_returns(model, env)
    assert lerobot_returns(port, shown, wrappers) == pytest.approx(expected, rel=1e-6)
    around = Wrapping(shown, tuple(Wrapper(name, arguments) for name, arguments in wrappers.items()))
    seeds = range(SEED, SEED + EPISODES)
    assert evaluate_port(port, Setting(TASK, seeds, around)).returns == pytest.approx(expected, rel=1e-6)
    assert len(set(expected)) == EPISODES


def sb3_returns(model: PPO, env: VecEnv) -> list[float]:
    returns = []
    for seed in range(SEED, SEED + EPISODES):
        env.seed(seed)
        seen, total, done = env.reset(), 0.0, False
        while not done:
            actions, _ = model.predict(seen, deterministic=True)
            seen, rewards, dones, _ = env.step(actions)
            total, done = total + float(rewards[0]), bool(dones[0])
        returns.append(total)
    return returns


def lerobot_returns(port: Path, shown: dict[str, Any], wrappers: dict[str, Any]) -> list[float]:
    """What `lerobot-eval` does after it has read its command line."""
    config = GymnasiumEnvConfig(task=TASK, env_kwargs=shown, wrappers=wrappers, episode_length=50)
    policy = PPOPolicy.from_pretrained(port)
    before, after = make_pre_post_processors(policy.config, pretrained_path=str(port))
    before.save_pretrained(port / "again")
    assert (port / "again" / PREPROCESSOR_FILE).read_bytes() == (port / PREPROCESSOR_FILE).read_bytes()
    vec = make_env(config, n_envs=1)["gymnasium"][0]
    info = lerobot_eval.eval_policy(
        vec, policy, *config.get_env_processors(), before, after, n_episodes=EPISODES, start_seed=SEED
    )
    vec.close()
    return [episode["sum_reward"] for episode in info["per_episode"]]


def test_images_of_other_sizes_are_refused() -> None:
    step = VecNormalizeProcessorStep(
        shapes={"observation.state": [2, 36, 40]},
        stats={"observation.state": {"mean": np.zeros(2880), "var": np.ones(2880), "count": 1.0}},
    )
    right = step.observation({"observation.image": torch.ones(1, 2, 36, 40)})
    assert right["observation.state"].shape == (1, 2880)
    assert "observation.image" not in right
    with pytest.raises(
        ValueError, match=r"shape \(1, 2, 36, 41\), but the policy was trained on \(2, 36, 40\)"
    ):
        step.observation({"observation.image": torch.zeros(1, 2, 36, 41)})
