"""Train with SBX's PPO: `python sbx_ppo.py ENV STEPS N_ENVS SETTINGS`, SETTINGS as JSON by SB3's names."""

import json
import sys

from sbx import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

env, steps, n_envs, settings = sys.argv[1:]
given = {name: value for name, value in json.loads(settings).items() if name != "use_sde"}
venv = make_vec_env(env, int(n_envs))
venv = VecNormalize(venv) if env.startswith(("HalfCheetah", "Hopper")) else venv
PPO("MlpPolicy", venv, **given).learn(int(steps))
