"""Models of every kind that SB3 and sb3-contrib build and save, and environments that show what was done.

The environments are those of `tests.plugin.environments`: what is seen next depends on every number of the
actions before, and actions that SB3 would not give are refused.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from tests.conformance.building import save_shaken
from tests.plugin.environments import KINDS, AnyEnv
from tests.plugin.oracles import observations
from tests.ports import port_of


@dataclass(frozen=True)
class Kind:
    """A model to build: the environment's kind, and what is special."""

    env: str
    algorithm: Any = PPO
    normalize: bool | list[str] = False
    kwargs: dict[str, Any] = field(default_factory=dict)
    policy_kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def env_id(self) -> str:
        return f"rollouts/{self.env}{'-masked' if self.algorithm is MaskablePPO else ''}-v0"

    def make_env(self) -> AnyEnv:
        return AnyEnv(self.env, "method" if self.algorithm is MaskablePPO else None)

    @property
    def policy(self) -> str:
        space = KINDS[self.env][0]
        kind = "MultiInput" if isinstance(space, spaces.Dict) else "Cnn" if space.dtype == np.uint8 else "Mlp"
        return f"{kind}{'Lstm' if self.algorithm is RecurrentPPO else ''}Policy"


SEEDS = (3, 4, 5)
LSTM = {"lstm_hidden_size": 6}
CNN = {"features_extractor_kwargs": {"features_dim": 8}}
MODELS = {
    "box": Kind("vector-box"),
    "box-normalized": Kind("vector-box", normalize=True),
    "gsde-squashed": Kind("vector-box", kwargs={"use_sde": True}, policy_kwargs={"squash_output": True}),
    "discrete": Kind("vector-discrete"),
    "multidiscrete": Kind("vector-multi-discrete"),
    "multibinary": Kind("vector-multi-binary"),
    "dict": Kind("dict", normalize=["robot_state", "state"]),
    "image": Kind("image", policy_kwargs=CNN),
    "image-first": Kind("image-first", policy_kwargs=CNN),
    "of-choices": Kind("multi-discrete"),
    "lstm": Kind("vector-box", RecurrentPPO, normalize=True, policy_kwargs=LSTM),
    "lstm-discrete": Kind("vector-discrete", RecurrentPPO, policy_kwargs={**LSTM, "n_lstm_layers": 2}),
    "maskable": Kind("vector-discrete", MaskablePPO),
    "maskable-multidiscrete": Kind("vector-multi-discrete", MaskablePPO),
    "maskable-multibinary": Kind("vector-multi-binary", MaskablePPO),
}
for _kind in KINDS:
    for _suffix, _masks in (("", None), ("-masked", "method")):
        gymnasium.register(
            f"rollouts/{_kind}{_suffix}-v0",
            AnyEnv,
            disable_env_checker=True,
            kwargs={"kind": _kind, "masks": _masks},
        )


@dataclass(frozen=True)
class Model:
    """A model, its statistics, and the folder of its zip."""

    kind: Kind
    sb3: Any
    normalizer: VecNormalize | None
    source: Path

    def port(self, dest: Path) -> Path:
        """Port it without verification."""
        return port_of(self.source, dest, verify=False).port

    def shown(self, raw: Any) -> Any:
        """What SB3 shows the policy of raw observations `(n, *shape)`."""
        return self.normalizer.normalize_obs(raw) if self.normalizer else raw

    def predict(self, raw: Any, **arguments: Any) -> tuple[np.ndarray, Any]:
        """What SB3's `model.predict` gives for raw observations `(n, *shape)`."""
        return self.sb3.predict(self.shown(raw), **arguments)

    def venv(self, env: gymnasium.Env[Any, Any]) -> VecEnv:
        """An environment for SB3's `evaluate_policy`, normalised as in training."""
        venv = DummyVecEnv([lambda: env])
        if self.normalizer is None:
            return venv
        keys, clip_obs = self.normalizer.norm_obs_keys, self.normalizer.clip_obs
        normalized = VecNormalize(
            venv, training=False, norm_reward=False, clip_obs=clip_obs, norm_obs_keys=keys
        )
        normalized.obs_rms = self.normalizer.obs_rms
        return normalized


def make_model(name: str, folder: Path) -> Model:
    """Build a model with weights unlike any initialisation, and save it in a Hub repository's layout."""
    kind = MODELS[name]
    env: Any = DummyVecEnv([kind.make_env])
    normalizer = None
    if kind.normalize:
        keys = kind.normalize if isinstance(kind.normalize, list) else None
        normalizer = VecNormalize(env, training=False, norm_reward=False, clip_obs=1.5, norm_obs_keys=keys)
        _shake(normalizer)
    policy_kwargs = {"net_arch": {"pi": [6], "vf": [5]}, **kind.policy_kwargs}
    model = kind.algorithm(
        kind.policy, normalizer or env, seed=1, device="cpu", policy_kwargs=policy_kwargs, **kind.kwargs
    )
    save_shaken(model, normalizer, folder)
    return Model(kind, model, normalizer, folder)


def _shake(normalizer: VecNormalize) -> None:
    rng = np.random.default_rng(0)
    statistics = normalizer.obs_rms
    for rms in statistics.values() if isinstance(statistics, dict) else [statistics]:
        rms.mean, rms.var = rng.normal(size=rms.mean.shape), rng.random(rms.mean.shape) + 0.1


def raw_observations(name: str, count: int) -> Any:
    """Observations `(count, *shape)` as the environment gives them."""
    return observations(KINDS[MODELS[name].env][0], count, seed=7)


def row_of(values: Any, index: int) -> Any:
    """One observation of a batch."""
    return {k: v[index] for k, v in values.items()} if isinstance(values, dict) else values[index]


def episodes_of_sb3(model: Model, deterministic: bool = True) -> list[tuple[list[Any], list[float]]]:
    """What SB3's own `predict` does in an episode of each of `SEEDS`: its actions and rewards."""
    found = []
    for seed in SEEDS:
        env, actions, rewards, state, done = model.kind.make_env(), [], [], None, False
        observation, _ = env.reset(seed=seed)
        torch.manual_seed(seed)
        if not deterministic and getattr(model.sb3.policy, "use_sde", False):
            model.sb3.policy.reset_noise(1)
        while not done:
            batch = _batched(observation)
            masks = {"action_masks": env.mask()[None]} if env.masks else {}
            action, state = model.predict(batch, state=state, deterministic=deterministic, **masks)
            actions.append(action[0])
            given = int(action[0]) if isinstance(env.action_space, spaces.Discrete) else action[0]
            observation, reward, terminated, truncated, _ = env.step(given)
            rewards.append(reward)
            done = terminated or truncated
        found.append((actions, rewards))
    return found


def _batched(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: np.asarray(value)[None] for key, value in observation.items()}
    return np.asarray(observation)[None]
