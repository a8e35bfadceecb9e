"""Pulls what sb3port has published with huggingface_sb3's `load_from_hub`, as SB3's users do, and acts.

python load_from_hub.py REPO FILENAME STATISTICS OBSERVATION
"""

import json
import sys

import gymnasium
import numpy as np
from huggingface_sb3 import load_from_hub
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

repo, filename, statistics, observation = sys.argv[1:]
model = PPO.load(load_from_hub(repo, filename), device="cpu")
env = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
normalizer = VecNormalize.load(load_from_hub(repo, statistics), env)
seen = normalizer.normalize_obs(np.array([json.loads(observation)], np.float32))
sys.stdout.write(json.dumps(model.predict(seen, deterministic=True)[0].tolist()))
