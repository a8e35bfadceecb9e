"""Run by another Python, without sb3port: loads exported zips as any SB3 user does, and trains on.

    python sb3_loads.py JOBS.json

Every job names a zip, its algorithm, statistics or null, and a file of observations; what the model gives for
them is written beside it, as `outputs.npz`. Names that must not be importable here are listed, too.
"""

import importlib.util
import json
import sys
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

CLASSES = {
    "ppo": stable_baselines3.PPO,
    "a2c": stable_baselines3.A2C,
    "trpo": sb3_contrib.TRPO,
    "ppo_mask": sb3_contrib.MaskablePPO,
    "ppo_lstm": sb3_contrib.RecurrentPPO,
}


class Stub(gymnasium.Env):
    """An environment of random observations, in which all actions are allowed."""

    def __init__(self, observation_space: Any, action_space: Any, n_choices: int) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.n_choices = n_choices

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, False, bool(self.np_random.random() < 0.1), {}

    def action_masks(self) -> Any:
        return np.ones(self.n_choices, bool)


def load(job: dict[str, Any]) -> tuple[Any, Any]:
    """Load a model and its statistics around an environment of its spaces; any warning is an error."""
    cls = CLASSES[job["algorithm"]]
    bare = cls.load(job["zip"], device="cpu")
    n_choices = getattr(getattr(bare.policy, "action_net", None), "out_features", 1)
    space = seen_by(bare.observation_space, job["channels_last"])
    env: Any = DummyVecEnv([lambda: Stub(space, bare.action_space, n_choices)])
    if job["statistics"]:
        env = VecNormalize.load(job["statistics"], env)
        env.training = False
    return cls.load(job["zip"], env=env, device="cpu"), env


def seen_by(space: Any, channels_last: list[str]) -> Any:
    """Give the space of an environment whose images have their channels last where they had."""
    if isinstance(space, gymnasium.spaces.Dict):
        parts = [(key, seen_by(part, [""] * (key in channels_last))) for key, part in space.spaces.items()]
        return gymnasium.spaces.Dict(OrderedDict(parts))  # SB3 2.3 wants it so
    if not channels_last:
        return space
    channels, height, width = space.shape
    return gymnasium.spaces.Box(0, 255, (height, width, channels), np.uint8)


@torch.no_grad()
def outputs(model: Any, env: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """Compute actions, values and log-probabilities on what was given to the original."""
    names = [name for name in arrays if name.startswith("observation")]
    found = {name.partition(".")[2]: arrays[name] for name in names}
    observations = found.get("", found)
    seen = env.normalize_obs(observations) if isinstance(env, VecNormalize) else observations
    batch, _ = model.policy.obs_to_tensor(seen)
    actions = torch.as_tensor(arrays["sample"])
    masks = {"action_masks": arrays["action_mask"]} if "action_mask" in arrays else {}
    if "initial_states" in arrays:
        states, starts = (torch.as_tensor(arrays[name]) for name in ("initial_states", "episode_starts"))
        memory = RNNStates((states[0], states[1]), (states[2], states[3]))
        value, log_prob, _ = model.policy.evaluate_actions(batch, actions, memory, starts.float())
        distribution, _ = model.policy.get_distribution(batch, memory.pi, starts.float())
        return {"mode": distribution.mode(), "value": value.flatten(), "log_prob": log_prob}
    value, log_prob, _ = model.policy.evaluate_actions(batch, actions, **masks)
    action, _ = model.predict(seen, deterministic=True, **masks)
    return {"action": action, "value": value.flatten(), "log_prob": log_prob}


def train(model: Any, env: Any) -> int:
    """Train for two rollouts and give the steps that were done."""
    if isinstance(env, VecNormalize):
        env.training = True
    before = model.num_timesteps
    model.n_steps = model.rollout_buffer.buffer_size = 8  # the original's may be thousands
    model.rollout_buffer.reset()
    model.learn(16, reset_num_timesteps=False)
    return model.num_timesteps - before


def main() -> None:
    absent = ("sb3port", "lerobot", "lerobot_policy_ppo", "gym", "shimmy", "rl_zoo3")
    assert not [name for name in absent if importlib.util.find_spec(name)]
    torch.set_num_threads(1)
    results = {}
    for job in json.loads(Path(sys.argv[1]).read_text()):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model, env = load(job)
        lost = [
            str(warning.message).split("\n")[0] for warning in caught if "deserialize" in str(warning.message)
        ]
        with np.load(job["inputs"]) as file:
            found = outputs(model, env, dict(file))
        np.savez(job["outputs"], **{name: np.asarray(value) for name, value in found.items()})
        rate = model.lr_schedule(1.0)
        clip = model.clip_range(1.0) if hasattr(model, "clip_range") else None
        steps = train(model, env) if job["trains"] else None
        results[job["name"]] = {"lost": lost, "learning_rate": rate, "clip_range": clip, "steps": steps}
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
