"""Trains tiny models and publishes them with huggingface_sb3, as the Deep RL course teaches it.

Runs where huggingface_sb3 3.0 is, which sb3port is not.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
from huggingface_sb3 import package_to_hub, push_to_hub
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

NETS = {"net_arch": [8]}


def make(env_id: str) -> DummyVecEnv:
    return DummyVecEnv([lambda: gym.make(env_id, render_mode="rgb_array")])


def package(model: Any, name: str, env_id: str, eval_env: Any) -> None:
    package_to_hub(
        model=model,
        model_name=name,
        model_architecture=type(model).__name__,
        env_id=env_id,
        eval_env=eval_env,
        repo_id=f"student/{name}",
        commit_message="Package",
        n_eval_episodes=1,
        video_length=5,
    )


def main() -> None:
    """Publish three models, and print what each of them does with some observations."""
    cartpole = PPO("MlpPolicy", make("CartPole-v1"), n_steps=32, batch_size=32, policy_kwargs=NETS).learn(64)
    package(cartpole, "ppo-CartPole-v1", "CartPole-v1", make("CartPole-v1"))

    env = VecNormalize(make("Pendulum-v1"))
    pendulum = A2C("MlpPolicy", env, policy_kwargs=NETS).learn(50)
    package(pendulum, "a2c-PandaReachDense", "Pendulum-v1", env)

    pendulum.save("my_very_own_name.zip")
    push_to_hub(repo_id="student/anything", filename="my_very_own_name.zip", commit_message="Push")
    env.save("vec_normalize.pkl")
    push_to_hub(repo_id="student/anything", filename="vec_normalize.pkl", commit_message="Push statistics")

    observations = {"CartPole-v1": [[0.1, -0.2, 0.03, 0.4]], "Pendulum-v1": [[0.6, -0.8, 1.5]]}
    acts = cartpole.predict(observations["CartPole-v1"], deterministic=True)[0]
    torques = pendulum.predict(env.normalize_obs(observations["Pendulum-v1"]), deterministic=True)[0]
    Path(sys.argv[1]).write_text(json.dumps({"CartPole-v1": acts.tolist(), "Pendulum-v1": torques.tolist()}))


main()
